"""Response bodies of event generation and of the detector, built from a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.common.errors import LunaError
from apps.handlers.messages import event_block, sample_block
from apps.handlers.pipeline.run import Run
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.run.facade import unavailable_estimations
from apps.recognition.run.pictures import RecognisedPicture, Rejected
from apps.recognition.shapes import (
    body_detection_block,
    face_detection_block,
    people_block,
    reasons_block,
    status_block,
)


def generation_body(run: Run) -> dict[str, Any]:
    """Return the response body of `POST /6/handlers/{handler_id}/events`."""
    with_coordinates = run.policies.detect_policy.people_count_coordinates
    return {
        "images": [
            *(_picture(each) | {"people": _people(each, with_coordinates)} for each in run.pictures),
            *(_image(each.filename, each.error) | {"people": None} for each in run.inputs.descriptors),
        ],
        "events": [event.message["event"] if event.message else event_block(event, run.shown) for event in run.events],
        "filtered_detections": _filtered([each for picture in run.pictures for each in picture.rejected], run.shown),
        "unavailable_estimations": unavailable_estimations(run.request.plan.optional),
    }


def detections_body(run: Run) -> dict[str, Any]:
    """Return the response body of `POST /6/detector`: accepted and rejected persons of each picture."""
    persons = [person for event in run.events for person in event.persons]
    return {
        "images": [
            _picture(picture)
            | {
                "detections": {
                    "samples": [
                        {"face": sample_block(person, run.shown)}
                        for person in persons
                        if person.picture is picture.picture
                    ],
                    "filtered_detections": {
                        "face_detections": _filtered(picture.rejected, run.shown)["face_detections"]
                    },
                }
            }
            for picture in run.pictures
        ],
        "unavailable_estimations": unavailable_estimations(run.request.plan.optional),
    }


def _picture(picture: RecognisedPicture) -> dict[str, Any]:
    return _image(picture.filename, picture.result.error, picture.result.exif)


def _image(filename: str, error: LunaError | None, exif: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Return `{filename, status, error, exif}`; `status` is 1 without an error and 0 with one."""
    return {**status_block(filename, error), "exif": None if exif is None else dict(exif)}


def _people(picture: RecognisedPicture, with_coordinates: bool) -> dict[str, Any] | None:
    people = picture.result.estimations.get("people_count")
    return people_block(people, with_coordinates=with_coordinates) if isinstance(people, PeopleCount) else None


def _filtered(rejected: Sequence[Rejected], shown: frozenset[str]) -> dict[str, Any]:
    return {
        "face_detections": [_rejection(each, face_detection_block(each.face, shown)) for each in rejected],
        "body_detections": [
            _rejection(each, body_detection_block(each.body, shown)) for each in rejected if each.body is not None
        ],
    }


def _rejection(rejected: Rejected, detection: dict[str, Any]) -> dict[str, Any]:
    return {
        "filename": rejected.picture.image.filename,
        "filter_reasons": reasons_block(rejected.reasons),
        "detection": {"sample": {"detection": detection}},
    }
