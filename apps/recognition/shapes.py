"""JSON blocks of detections and their estimations, shared by all responses and messages.

The module of an estimator defines the JSON of its estimation. A value that an estimator cannot determine is null.
"""

from collections.abc import Collection, Mapping, Sequence

from apps.common import errors
from apps.common.errors import LunaError, error_body
from apps.recognition.checks.evaluate import CheckReport
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.estimators.registry import all_estimators
from apps.recognition.estimators.shapes import Json, pixels, score
from apps.recognition.request.screening import Reason
from apps.recognition.types import Body, Face
from apps.recognition.vocabulary import ESTIMATIONS, Place


def status_block(filename: str, error: LunaError | None) -> Json:
    """Return `{filename, status, error}`; `status` is 1 without an error and 0 with one."""
    return {
        "filename": filename,
        "status": int(error is None),
        "error": error_body(errors.SUCCESS) if error is None else error.body(),
    }


def reasons_block(reasons: Sequence[Reason]) -> list[Json]:
    """Return `filter_reasons`."""
    return [
        {
            "filter_name": reason.filter_name,
            "object_value": reason.object_value,
            "threshold_value": reason.threshold_value,
        }
        for reason in reasons
    ]


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
        "rect": face.rect.json(),
        "score": score(face.score),
        "landmarks5": pixels(face.landmarks5),
        "attributes": attributes_block(found, shown),
        **beside,
    }


def body_detection_block(body: Body, shown: Collection[str]) -> Json:
    """Return `detection` of a body: rectangle, score, and the estimations in `shown`."""
    return {
        "rect": body.rect.json(),
        "score": score(body.score),
        "attributes": attributes_block(body.estimations, shown),
    }


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


def people_block(value: PeopleCount, *, with_coordinates: bool) -> Json:
    """Return `{count, coordinates}`; `coordinates` is null unless `with_coordinates`."""
    return {
        "count": value.count,
        "coordinates": [list(point) for point in value.coordinates] if with_coordinates else None,
    }
