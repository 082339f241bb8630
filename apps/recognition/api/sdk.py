"""View of POST /6/sdk: all estimations on request. It stores nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api.views import LunaView
from apps.common.config import config
from apps.common.descriptors import base64_encode
from apps.common.fields import CommaListField, FlagField
from apps.common.filters.enums import Deepfake, Liveness, Mask
from apps.common.filters.kinds import FiniteFloatField, NumberField
from apps.common.validation import checked_query
from apps.recognition.api.answers import StatusSerializer
from apps.recognition.api.inputs import read_public_inputs
from apps.recognition.api.openapi import image_request
from apps.recognition.config import MissingNetworks
from apps.recognition.encoding import warp_bytes
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.estimators.shapes import Json
from apps.recognition.inputs.types import Rules
from apps.recognition.request.aggregation import aggregate
from apps.recognition.request.build import (
    ANGLES,
    MAX_ANGLE_DEGREES,
    RecognitionRequest,
    angle_field,
    recognition_request,
)
from apps.recognition.run.facade import unavailable_estimations
from apps.recognition.run.pictures import RecognisedPicture, Rejected, check_one_person, recognise_pictures
from apps.recognition.shapes import (
    attributes_block,
    body_detection_block,
    face_detection_block,
    people_block,
    reasons_block,
    status_block,
)
from apps.recognition.types import Body, Face, Image, ImageType, MultifacePolicy
from apps.recognition.vocabulary import Kind, sdk_flags

FLAGS = sdk_flags()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Contents of a response: names of estimations, and whether it contains warps and coordinates."""

    estimations: frozenset[str]
    face_warps: bool
    body_warps: bool
    coordinates: bool


class SdkQuery(serializers.Serializer[Any]):
    """Query of /6/sdk: detections, estimations and filters."""

    detect_face = FlagField(default=True)
    detect_body = FlagField(default=False)
    estimate_landmarks5 = FlagField(default=False, help_text="No effect: the response always contains them.")
    estimate_face_warp = FlagField(default=False)
    estimate_body_warp = FlagField(default=False)
    people_count_coordinates = FlagField(default=False, help_text="Adds coordinates to 'estimate_people_count'.")
    people_coordinates = FlagField(default=False, help_text="Alias of 'people_count_coordinates'.")
    multiface_policy = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in MultifacePolicy], default=MultifacePolicy.ALL.value
    )
    score_threshold = FiniteFloatField(min_value=0, max_value=1, required=False)
    descriptor_version = serializers.IntegerField(
        min_value=1, required=False, help_text="Default: the version of new descriptors."
    )
    face_descriptor_score_threshold = FiniteFloatField(min_value=0, max_value=1, default=0.0)
    mask_states = CommaListField(child=NumberField(numbers=Mask), max_length=len(Mask), default=list)
    liveness_states = CommaListField(child=NumberField(numbers=Liveness), max_length=len(Liveness), default=list)
    deepfake_states = CommaListField(child=NumberField(numbers=Deepfake), max_length=len(Deepfake), default=list)
    aggregate_attributes = FlagField(default=False)
    image_type = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in ImageType], default=ImageType.RAW.value
    )
    use_exif_info = FlagField(default=True)
    extract_exif = FlagField(default=False)

    def get_fields(self) -> dict[str, Any]:
        flags = {flag: FlagField(default=False) for flag in FLAGS}
        return (
            flags
            | super().get_fields()
            | {f"{name}_threshold": angle_field(default=MAX_ANGLE_DEGREES) for name in ANGLES}
        )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        of_pictures = any(attrs[flag] for flag, row in FLAGS.items() if row.kind is Kind.PICTURE)
        if not attrs["detect_face"] and not attrs["detect_body"] and not of_pictures:
            raise serializers.ValidationError({"detect_face": "'detect_face' or 'detect_body' must be 1."})
        for kind, needed in ((ImageType.FACE_WARP, "detect_face"), (ImageType.BODY_WARP, "detect_body")):
            if attrs["image_type"] == kind and not attrs[needed]:
                raise serializers.ValidationError({"image_type": f"{kind.value} needs '{needed}'."})
        return attrs


class SdkFaceSerializer(serializers.Serializer[Any]):
    detection = serializers.DictField()
    attributes = serializers.DictField()
    warp = serializers.CharField(allow_null=True, help_text="JPEG, Base64.")


class SdkBodySerializer(serializers.Serializer[Any]):
    detection = serializers.DictField()
    attributes = serializers.DictField()
    warp = serializers.CharField(allow_null=True, help_text="JPEG, Base64.")


class SdkEstimationSerializer(serializers.Serializer[Any]):
    """One person: face, body or both."""

    face = SdkFaceSerializer(allow_null=True)
    body = SdkBodySerializer(allow_null=True)


class SdkImageSerializer(StatusSerializer):
    exif = serializers.DictField(allow_null=True)
    estimations = SdkEstimationSerializer(many=True)
    image_estimations = serializers.DictField()


class SdkFilteredSerializer(SdkEstimationSerializer):
    filename = serializers.CharField()
    filter_reasons = serializers.ListField(child=serializers.DictField())


class SdkAnswer(serializers.Serializer[Any]):
    images_estimations = SdkImageSerializer(many=True)
    aggregate_estimations = serializers.DictField()
    filtered_estimations = SdkFilteredSerializer(many=True)
    unavailable_estimations = serializers.ListField(
        child=serializers.CharField(),
        help_text="Requested estimations without an installed network; their values are null.",
    )


class SdkView(LunaView):
    public: ClassVar = True
    resource: ClassVar = "sdk"

    @extend_schema(
        summary="sdk",
        description="Detects faces and bodies, and estimates their attributes. It stores nothing.",
        parameters=[SdkQuery],
        request=image_request(bodies=True),
        responses={200: SdkAnswer},
    )
    def post(self, request: Request) -> Response:
        query = checked_query(SdkQuery, request)
        shown = _shown(query)
        rules = Rules(image_type=ImageType(query["image_type"]), bodies=True)
        seen = recognise_pictures(read_public_inputs(request, rules), _asked(query, shown))
        if query["aggregate_attributes"] and query["multiface_policy"] != MultifacePolicy.BEST:
            check_one_person([each.result for each in seen])
        return Response(
            {
                "images_estimations": [_image(each, shown) for each in seen],
                "aggregate_estimations": _together(seen, shown) if query["aggregate_attributes"] else {},
                "filtered_estimations": [_filtered(each, shown) for picture in seen for each in picture.rejected],
                "unavailable_estimations": unavailable_estimations(shown.estimations),
            }
        )


def _shown(query: dict[str, Any]) -> Shown:
    return Shown(
        estimations=frozenset(
            row.name
            for flag, row in FLAGS.items()
            if query[flag] and (query["detect_face"] or row.kind is not Kind.FACE)
        ),
        face_warps=query["estimate_face_warp"],
        body_warps=query["estimate_body_warp"],
        coordinates=query["people_count_coordinates"] or query["people_coordinates"],
    )


def _asked(query: dict[str, Any], shown: Shown) -> RecognitionRequest:
    of_limits = {"face_descriptor"} if query["face_descriptor_score_threshold"] > 0 else frozenset()
    return recognition_request(
        faces=query["detect_face"],
        bodies=query["detect_body"],
        estimations=shown.estimations | of_limits,
        multiface=MultifacePolicy(query["multiface_policy"]),
        use_exif=query["use_exif_info"],
        extract_exif=query["extract_exif"] or query["use_exif_info"],
        score_threshold=query.get("score_threshold"),
        descriptor_version=query.get("descriptor_version"),
        face_warps=query["estimate_face_warp"],
        body_warps=query["estimate_body_warp"],
        angles={angle: query[f"{angle}_threshold"] for angle in ANGLES},
        states={name: query[f"{name}_states"] for name in ("mask", "liveness", "deepfake")},
        descriptor_score=query["face_descriptor_score_threshold"],
        optional=not config(MissingNetworks).refuse_estimations,
    )


def _image(seen: RecognisedPicture, shown: Shown) -> Json:
    exif = seen.result.exif
    people = seen.result.estimations.get("people_count")
    counted = people_block(people, with_coordinates=shown.coordinates) if isinstance(people, PeopleCount) else None
    unmade = {name: None for name, value in seen.result.estimations.items() if value is None}
    return {
        **status_block(seen.filename, seen.result.error),
        "exif": None if exif is None else dict(exif),
        "estimations": [_person(each.face, each.body, shown) for each in seen.persons],
        "image_estimations": ({} if counted is None else {"people": counted}) | unmade,
    }


def _person(face: Face | None, body: Body | None, shown: Shown) -> Json:
    return {
        "face": None if face is None else _face(face, shown),
        "body": None if body is None else _body(body, shown),
    }


def _face(face: Face, shown: Shown) -> Json:
    return _found(face_detection_block(face, shown.estimations), face.warp if shown.face_warps else None)


def _body(body: Body, shown: Shown) -> Json:
    return _found(body_detection_block(body, shown.estimations), body.warp if shown.body_warps else None)


def _found(detection: Json, warp: Image | None) -> Json:
    """Return a face or body with its warp. Attributes and warp appear twice, because clients read either place."""
    encoded = None if warp is None else base64_encode(warp_bytes(warp))
    return {
        "detection": {**detection, "warp": encoded},
        "attributes": detection["attributes"],
        "warp": encoded,
    }


def _together(seen: Sequence[RecognisedPicture], shown: Shown) -> Json:
    persons = [each for picture in seen for each in picture.persons]
    faces = aggregate([each.face.estimations for each in persons if each.face is not None])
    bodies = aggregate([each.body.estimations for each in persons if each.body is not None])
    return {
        "face": {"attributes": attributes_block(faces, shown.estimations)},
        "body": {"attributes": attributes_block(bodies, shown.estimations)},
    }


def _filtered(rejected: Rejected, shown: Shown) -> Json:
    return {
        "filename": rejected.picture.image.filename,
        "filter_reasons": reasons_block(rejected.reasons),
        **_person(rejected.face, rejected.body, shown),
    }
