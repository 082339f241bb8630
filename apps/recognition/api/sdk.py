"""View of POST /6/sdk: all estimations on request. It stores nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypedDict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api.views import LunaView
from apps.common.config import config
from apps.common.descriptors import base64_encode
from apps.common.fields import CommaListField, FlagField, WholeNumberField
from apps.common.filters.enums import Deepfake, Liveness, Mask, Number
from apps.common.filters.kinds import FiniteFloatField, NumberField
from apps.common.json_types import Json, Members
from apps.common.validation import checked_query
from apps.recognition.api.inputs import read_public_inputs
from apps.recognition.api.openapi import BodiesForm, image_request
from apps.recognition.config import MissingNetworks
from apps.recognition.encoding import warp_bytes
from apps.recognition.engine.exif import ExifJson
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.inputs.types import Rules
from apps.recognition.request.aggregation import aggregate
from apps.recognition.request.build import (
    ANGLES,
    MAX_ANGLE_DEGREES,
    RecognitionRequest,
    angle_field,
    estimation_flag,
    recognition_request,
)
from apps.recognition.run.facade import unavailable_estimations
from apps.recognition.run.pictures import RecognisedPicture, Rejected, check_one_person, recognise_pictures
from apps.recognition.shapes import (
    AggregateJson,
    BodyAttributesJson,
    FaceAttributesJson,
    PeopleJson,
    ReasonJson,
    StatusJson,
    UnavailableJson,
    attributes_block,
    body_detection_block,
    body_detection_types,
    exif_block,
    face_detection_block,
    face_detection_types,
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


def states_field(numbers: type[Number]) -> CommaListField:
    child = NumberField(numbers=numbers)
    text = f"Accepted states; faces of other states are rejected. {child.help_text}."
    return CommaListField(child=child, max_length=len(numbers), default=list, help_text=text)


class SdkQuery(serializers.Serializer[Any]):
    """Query of /6/sdk: detections, estimations and filters."""

    detect_face = FlagField(default=True, help_text="Detect faces.")
    detect_body = FlagField(default=False, help_text="Detect bodies.")
    estimate_landmarks5 = FlagField(default=False, help_text="No effect: the response always contains them.")
    estimate_face_warp = FlagField(default=False, help_text="Return the face warp.")
    estimate_body_warp = FlagField(default=False, help_text="Return the body warp.")
    people_count_coordinates = FlagField(default=False, help_text="Adds coordinates to 'estimate_people_count'.")
    people_coordinates = FlagField(default=False, help_text="Alias of 'people_count_coordinates'.")
    multiface_policy = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in MultifacePolicy], default=MultifacePolicy.ALL.value
    )
    score_threshold = FiniteFloatField(
        min_value=0, max_value=1, required=False, help_text="Detections with a lower score are omitted."
    )
    descriptor_version = WholeNumberField(
        min_value=1, required=False, help_text="Default: the version of new descriptors."
    )
    face_descriptor_score_threshold = FiniteFloatField(
        min_value=0, max_value=1, default=0.0, help_text="Faces with a lower score of the descriptor are rejected."
    )
    mask_states = states_field(Mask)
    liveness_states = states_field(Liveness)
    deepfake_states = states_field(Deepfake)
    aggregate_attributes = FlagField(default=False, help_text="Also estimate all images as one person.")
    image_type = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in ImageType], default=ImageType.RAW.value
    )
    use_exif_info = FlagField(default=True, help_text="Turn pictures by their EXIF orientation.")
    extract_exif = FlagField(default=False, help_text="Return `exif` of each image.")

    def get_fields(self) -> dict[str, Any]:
        flags = {flag: estimation_flag(flag) for flag in FLAGS}
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


WARP = Annotated[str | None, "JPEG, Base64."]
SdkFaceDetectionJson = Annotated[
    Json, Members("SdkFaceDetection", lambda: face_detection_types() | {"warp": WARP}, text="A detected face.")
]
SdkBodyDetectionJson = Annotated[
    Json, Members("SdkBodyDetection", lambda: body_detection_types() | {"warp": WARP}, text="A detected body.")
]


class SdkFaceJson(TypedDict):
    detection: SdkFaceDetectionJson
    attributes: FaceAttributesJson
    warp: WARP


class SdkBodyJson(TypedDict):
    detection: SdkBodyDetectionJson
    attributes: BodyAttributesJson
    warp: WARP


class SdkEstimationJson(TypedDict):
    """One person: face, body or both."""

    face: SdkFaceJson | None
    body: SdkBodyJson | None


ImageEstimationsJson = Annotated[
    Json,
    Members(
        "ImageEstimations",
        lambda: {
            "people": PeopleJson,
            **{row.name: object | None for row in FLAGS.values() if row.kind is Kind.PICTURE},
        },
        optional=True,
        text="Requested estimations of the picture. An estimation without an installed network is null.",
    ),
]


class SdkImageJson(StatusJson):
    """Status and persons of one image."""

    exif: ExifJson | None
    estimations: list[SdkEstimationJson]
    image_estimations: ImageEstimationsJson


class SdkFilteredJson(SdkEstimationJson):
    """A person whose face failed a limit."""

    filename: str
    filter_reasons: list[ReasonJson]


class SdkAnswerJson(TypedDict):
    images_estimations: list[SdkImageJson]
    aggregate_estimations: AggregateJson
    filtered_estimations: list[SdkFilteredJson]
    unavailable_estimations: UnavailableJson


class SdkView(LunaView):
    public: ClassVar = True
    resource: ClassVar = "sdk"

    @extend_schema(
        summary="sdk",
        description="Detects faces and bodies, and estimates their attributes. It stores nothing.",
        parameters=[SdkQuery],
        request=image_request(form=BodiesForm),
        responses={200: SdkAnswerJson},
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


def _image(seen: RecognisedPicture, shown: Shown) -> SdkImageJson:
    people = seen.result.estimations.get("people_count")
    counted = people_block(people, with_coordinates=shown.coordinates) if isinstance(people, PeopleCount) else None
    unmade: Json = {name: None for name, value in seen.result.estimations.items() if value is None}
    return {
        **status_block(seen.filename, seen.result.error),
        "exif": exif_block(seen.result.exif),
        "estimations": [_person(each.face, each.body, shown) for each in seen.persons],
        "image_estimations": unmade if counted is None else {"people": counted, **unmade},
    }


def _person(face: Face | None, body: Body | None, shown: Shown) -> SdkEstimationJson:
    return {
        "face": None if face is None else _face(face, shown),
        "body": None if body is None else _body(body, shown),
    }


# Attributes and warp of a face or body appear twice, because clients read either place.
def _face(face: Face, shown: Shown) -> SdkFaceJson:
    warp = _warp(face.warp if shown.face_warps else None)
    return {
        "detection": {**face_detection_block(face, shown.estimations), "warp": warp},
        "attributes": attributes_block(face.estimations, shown.estimations),
        "warp": warp,
    }


def _body(body: Body, shown: Shown) -> SdkBodyJson:
    warp = _warp(body.warp if shown.body_warps else None)
    return {
        "detection": {**body_detection_block(body, shown.estimations), "warp": warp},
        "attributes": attributes_block(body.estimations, shown.estimations),
        "warp": warp,
    }


def _warp(warp: Image | None) -> str | None:
    return None if warp is None else base64_encode(warp_bytes(warp))


def _together(seen: Sequence[RecognisedPicture], shown: Shown) -> AggregateJson:
    persons = [each for picture in seen for each in picture.persons]
    faces = aggregate([each.face.estimations for each in persons if each.face is not None])
    bodies = aggregate([each.body.estimations for each in persons if each.body is not None])
    return {
        "face": {"attributes": attributes_block(faces, shown.estimations)},
        "body": {"attributes": attributes_block(bodies, shown.estimations)},
    }


def _filtered(rejected: Rejected, shown: Shown) -> SdkFilteredJson:
    return {
        "filename": rejected.picture.image.filename,
        "filter_reasons": reasons_block(rejected.reasons),
        **_person(rejected.face, rejected.body, shown),
    }
