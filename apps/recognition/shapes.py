"""JSON blocks of detections and their estimations, shared by all responses and messages.

The module of an estimator defines the JSON of its estimation. A value that an estimator cannot determine is null.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, TypedDict, cast, get_type_hints

from apps.common import errors
from apps.common.errors import ErrorBodyJson, LunaError, error_body
from apps.common.json_types import Json, Members
from apps.recognition.checks.evaluate import ESTIMATION, CheckReport
from apps.recognition.engine.exif import ExifJson
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.estimators.registry import all_estimators
from apps.recognition.estimators.shapes import pixels, score
from apps.recognition.request.screening import Reason
from apps.recognition.types import Body, Face, PointsJson, RectJson
from apps.recognition.vocabulary import ESTIMATIONS, Kind, Place


class StatusJson(TypedDict):
    """Status of one image."""

    filename: str
    status: Annotated[int, "1: recognised; 0: failed, see `error`."]
    error: ErrorBodyJson


class ReasonJson(TypedDict):
    """Limit that a face failed."""

    filter_name: str
    object_value: Annotated[object, "Number, word, or null if it was not measured."]
    threshold_value: Annotated[object, "Number, array, or `{min, max}`."]


class PeopleJson(TypedDict):
    """People in a picture. `coordinates` is null unless it is requested."""

    count: int
    coordinates: PointsJson | None


class DetectionJson(TypedDict):
    """Members of each detection, besides its estimations."""

    rect: RectJson
    score: Annotated[float, "Score of the detection, 0 to 1."]


class FaceDetectionMembers(DetectionJson):
    landmarks5: PointsJson


def estimation_type(name: str) -> Any:
    """Return the JSON type of an estimation: what its estimator returns."""
    source = CheckReport if name == ESTIMATION else type(all_estimators()[name])
    return get_type_hints(source.json, include_extras=True)["return"]


def attribute_types(kind: Kind) -> dict[str, Any]:
    """Return the JSON types of `attributes`, by member."""
    return _types(kind, Place.ATTRIBUTES)


def face_detection_types() -> dict[str, Any]:
    """Return the JSON types of a face's `detection`, by member."""
    own = get_type_hints(FaceDetectionMembers, include_extras=True)
    return own | {"attributes": FaceAttributesJson} | _types(Kind.FACE, Place.DETECTION)


def body_detection_types() -> dict[str, Any]:
    """Return the JSON types of a body's `detection`, by member."""
    return get_type_hints(DetectionJson, include_extras=True) | {"attributes": BodyAttributesJson}


def _types(kind: Kind, place: Place) -> dict[str, Any]:
    rows = [row for row in ESTIMATIONS.values() if row.kind is kind and row.place is place]
    return {row.member: estimation_type(row.name) | None for row in rows}


FaceAttributesJson = Annotated[
    Json,
    Members(
        "FaceAttributes",
        lambda: attribute_types(Kind.FACE),
        optional=True,
        text="Requested estimations of a face. A value that cannot be determined is null.",
    ),
]
BodyAttributesJson = Annotated[
    Json,
    Members(
        "BodyAttributes",
        lambda: attribute_types(Kind.BODY),
        optional=True,
        text="Requested estimations of a body. A value that cannot be determined is null.",
    ),
]
FaceDetectionJson = Annotated[Json, Members("FaceDetection", face_detection_types, text="A detected face.")]
BodyDetectionJson = Annotated[Json, Members("BodyDetection", body_detection_types, text="A detected body.")]


UnavailableJson = Annotated[list[str], "Requested estimations without an installed network; their values are null."]


class AttributesOfFaceJson(TypedDict):
    attributes: FaceAttributesJson


class AttributesOfBodyJson(TypedDict):
    attributes: BodyAttributesJson


class AggregateJson(TypedDict, total=False):
    """Estimations of one person in several images; empty without aggregation."""

    face: AttributesOfFaceJson
    body: AttributesOfBodyJson


def status_block(filename: str, error: LunaError | None) -> StatusJson:
    """Return `{filename, status, error}`; `status` is 1 without an error and 0 with one."""
    return {
        "filename": filename,
        "status": int(error is None),
        "error": error_body(errors.SUCCESS) if error is None else error.body(),
    }


def reasons_block(reasons: Sequence[Reason]) -> list[ReasonJson]:
    """Return `filter_reasons`."""
    return [
        {
            "filter_name": reason.filter_name,
            "object_value": reason.object_value,
            "threshold_value": reason.threshold_value,
        }
        for reason in reasons
    ]


def detection_block(found: Face | Body) -> DetectionJson:
    """Return `{rect, score}`."""
    return {"rect": found.rect.json(), "score": score(found.score)}


def face_detection_block(face: Face, shown: Collection[str]) -> Json:
    """Return `detection` of a face: rectangle, landmarks, the estimations in `shown`, and null for other estimations.

    Estimations that only a limit needed are not included.
    """
    found = face.estimations
    beside = {
        row.member: estimation_block(row.name, found.get(row.name) if row.name in shown else None)
        for row in ESTIMATIONS.values()
        if row.place is Place.DETECTION
    }
    return {
        **detection_block(face),
        "landmarks5": pixels(face.landmarks5),
        "attributes": attributes_block(found, shown),
        **beside,
    }


def body_detection_block(body: Body, shown: Collection[str]) -> Json:
    """Return `detection` of a body: rectangle, score, and the estimations in `shown`."""
    return {**detection_block(body), "attributes": attributes_block(body.estimations, shown)}


def attributes_block(estimations: Mapping[str, object], shown: Collection[str]) -> Json:
    """Return `attributes` of a face or a body: its estimations in `shown`."""
    return {
        row.member: estimation_block(row.name, estimations[row.name])
        for row in ESTIMATIONS.values()
        if row.place is Place.ATTRIBUTES and row.name in shown and row.name in estimations
    }


def estimation_block(name: str, value: object) -> object:
    """Return the block of one estimation, None for None. Raises TypeError for a value of another estimator."""
    if value is None:
        return None
    if isinstance(value, CheckReport):
        return value.json()
    estimator = all_estimators()[name]
    if estimator.result is None or not isinstance(value, estimator.result):
        raise TypeError(f"{name} is {type(value).__name__}, not {estimator.result}")
    return estimator.json(value)


def exif_block(exif: Mapping[str, object] | None) -> ExifJson | None:
    """Return `exif`, null if it was not requested."""
    return None if exif is None else cast(ExifJson, dict(exif))


def people_block(value: PeopleCount, *, with_coordinates: bool) -> PeopleJson:
    """Return `{count, coordinates}`; `coordinates` is null unless `with_coordinates`."""
    return {
        "count": value.count,
        "coordinates": [list(point) for point in value.coordinates] if with_coordinates else None,
    }
