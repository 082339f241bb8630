"""JSON blocks of detections and their estimations, the same in every resource and message that shows them.

The JSON of one estimation is in its estimator's file. A value that an estimator cannot tell is null.
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
    """`{filename, status, error}`: status 1 went well, 0 failed."""
    return {
        "filename": filename,
        "status": int(error is None),
        "error": error_body(errors.SUCCESS) if error is None else error.body(),
    }


def reasons_block(reasons: Sequence[Reason]) -> list[Json]:
    """`filter_reasons`."""
    return [
        {
            "filter_name": reason.filter_name,
            "object_value": reason.object_value,
            "threshold_value": reason.threshold_value,
        }
        for reason in reasons
    ]


def face_detection_block(face: Face, shown: Collection[str]) -> Json:
    """`detection` of a face: rectangle, landmarks, and the estimations that are `shown`; null for the rest.

    A limit may have needed further estimations; the answer does not hold them.
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
    """`detection` of a body: rectangle, score, and the estimations that are `shown`."""
    return {
        "rect": body.rect.json(),
        "score": score(body.score),
        "attributes": attributes_block(body.estimations, shown),
    }


def attributes_block(estimations: Mapping[str, object], shown: Collection[str]) -> Json:
    """`attributes` of a face or a body: the estimations that were made and are `shown`."""
    return {
        row.member: estimation_block(row.name, estimations[row.name])
        for row in ESTIMATIONS.values()
        if row.place is Place.ATTRIBUTES and row.name in shown and row.name in estimations
    }


def estimation_block(name: str, value: object) -> object:
    """The block of one estimation by its name; None stays null. Raises TypeError for another estimator's value."""
    if value is None:
        return None
    if isinstance(value, CheckReport):
        return value.json()
    estimator = all_estimators()[name]
    if estimator.result is None or not isinstance(value, estimator.result):
        raise TypeError(f"{name} is {type(value).__name__}, not {estimator.result}")
    return estimator.json(value)


def people_block(value: PeopleCount, *, with_coordinates: bool) -> Json:
    """`{count, coordinates}`: without coordinates these are null."""
    return {
        "count": value.count,
        "coordinates": [list(point) for point in value.coordinates] if with_coordinates else None,
    }
