"""View of POST /6/liveness: liveness of faces with the thresholds of the installation. It stores nothing."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypedDict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common import errors
from apps.common.api.views import LunaView
from apps.common.errors import LunaError
from apps.common.fields import FlagField
from apps.common.filters import enums
from apps.common.json_types import numbers
from apps.common.validation import StrictSerializer, checked_data, checked_query
from apps.recognition.api.inputs import read_public_inputs
from apps.recognition.api.openapi import image_request
from apps.recognition.estimators.liveness import Liveness
from apps.recognition.estimators.shapes import score
from apps.recognition.inputs.types import Rules
from apps.recognition.request.aggregation import aggregate
from apps.recognition.request.build import recognition_request
from apps.recognition.run.pictures import RecognisedPicture, recognise_pictures
from apps.recognition.shapes import StatusJson, status_block
from apps.recognition.types import ImageType, MultifacePolicy

ESTIMATION = "liveness"
MAX_DEVICE_CHARACTERS = 128
X_META = "x_meta"  # content of the client, not evaluated


class LivenessQuery(serializers.Serializer[Any]):
    """Query of /6/liveness: decoding of images, and aggregation of one person's images."""

    aggregate = FlagField(default=False, help_text="Also estimates all images as one person.")
    image_type = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in (ImageType.RAW, ImageType.FACE_WARP)], default=ImageType.RAW.value
    )
    use_exif_info = FlagField(default=True, help_text="Turn pictures by their EXIF orientation.")


class DeviceSerializer(StrictSerializer):
    """`meta`: the device that took the pictures."""

    OS = serializers.ChoiceField(choices=("IOS", "ANDROID", "DESKTOP", "UNKNOWN"), required=False)
    MANUFACTURE = serializers.CharField(max_length=MAX_DEVICE_CHARACTERS, allow_blank=True, required=False)
    MODEL = serializers.CharField(max_length=MAX_DEVICE_CHARACTERS, allow_blank=True, required=False)


class PredictionScoresJson(TypedDict):
    probability: Annotated[float, "Probability of a real face, 0 to 1."]
    quality: Annotated[float, "Suitability of the picture, 0 to 1."]


class PredictionJson(TypedDict):
    """`prediction` is 2 if the quality is too low."""

    prediction: Annotated[int, numbers(enums.Liveness)]
    estimations: PredictionScoresJson


class LivenessImageJson(StatusJson):
    """Status and liveness of one image."""

    liveness: PredictionJson | None


class LivenessTogetherJson(TypedDict):
    """Liveness of all images as one person, null if it is not requested."""

    liveness: PredictionJson | None


class LivenessAnswerJson(TypedDict):
    images: list[LivenessImageJson]
    aggregate_estimations: LivenessTogetherJson


class LivenessView(LunaView):
    public: ClassVar = True
    resource: ClassVar = "liveness"

    @extend_schema(
        summary="predict liveness",
        description="Estimates the liveness of one face in each image. The result is advisory: docs/estimators.md "
        "gives the measured error rates.",
        parameters=[LivenessQuery],
        request=image_request(),
        responses={200: LivenessAnswerJson},
    )
    def post(self, request: Request) -> Response:
        query = checked_query(LivenessQuery, request)
        rules = Rules(image_type=ImageType(query["image_type"]), details=frozenset({"meta"}), parts=frozenset({X_META}))
        asked = recognition_request(
            estimations={ESTIMATION}, multiface=MultifacePolicy.NOT_ALLOWED, use_exif=query["use_exif_info"]
        )
        inputs = read_public_inputs(request, rules)
        for meta in (inputs.meta, *(picture.details.meta for picture in inputs.pictures)):
            if meta is not None:
                checked_data(DeviceSerializer, meta)
        seen = recognise_pictures(inputs, asked)
        if inputs.alone and (error := _error(seen[0])) is not None:
            raise error
        together = _together(seen) if query["aggregate"] else None
        return Response({"images": [_image(each) for each in seen], "aggregate_estimations": {ESTIMATION: together}})


def _error(seen: RecognisedPicture) -> LunaError | None:
    return seen.result.error or (None if seen.passed else LunaError(errors.NO_FACES_FOUND))


def _image(seen: RecognisedPicture) -> LivenessImageJson:
    found = seen.passed[0].estimations[ESTIMATION] if seen.passed else None
    return {**status_block(seen.filename, _error(seen)), "liveness": _block(found)}


def _together(seen: Sequence[RecognisedPicture]) -> PredictionJson | None:
    return _block(aggregate([each.passed[0].estimations for each in seen if each.passed]).get(ESTIMATION))


def _block(found: object) -> PredictionJson | None:
    if not isinstance(found, Liveness):
        return None
    return {
        "prediction": int(enums.Liveness.of(found.predominant)),
        "estimations": {"probability": score(found.probability), "quality": score(found.quality)},
    }
