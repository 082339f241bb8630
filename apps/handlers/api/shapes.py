"""Answers of resources that take pictures: what stands beside the events."""

from typing import Any

from apps.handlers.messages import event_block
from apps.handlers.types import GenerationResult, ImageOutcome
from apps.recognition.body_shapes import body_detection_block, people_block
from apps.recognition.run.pictures import Rejected
from apps.recognition.shapes import reasons_block, shown_detection, status_block


def generation_body(result: GenerationResult) -> dict[str, Any]:
    """The answer of `POST /6/handlers/{handler_id}/events`."""
    return {
        "images": [
            image_block(outcome) | {"people": _people(outcome, result.coordinates)} for outcome in result.images
        ],
        "events": [event_block(person, result.shown) for person in result.persons],
        "filtered_detections": filtered_block(result.rejected, result.shown),
    }


def image_block(outcome: ImageOutcome) -> dict[str, Any]:
    """`{filename, status, error, exif}`: status 1 went well, 0 failed."""
    return {
        **status_block(outcome.filename, outcome.error),
        "exif": None if outcome.exif is None else dict(outcome.exif),
    }


def _people(outcome: ImageOutcome, coordinates: bool) -> dict[str, Any] | None:
    return None if outcome.people is None else people_block(outcome.people, with_coordinates=coordinates)


def filtered_block(rejected: tuple[Rejected, ...], shown: frozenset[str]) -> dict[str, Any]:
    return {
        "face_detections": [
            {
                "filename": each.picture.image.filename,
                "filter_reasons": reasons_block(each.reasons),
                "detection": {"sample": {"detection": shown_detection(each.face, shown)}},
            }
            for each in rejected
        ],
        "body_detections": [
            {
                "filename": each.picture.image.filename,
                "filter_reasons": reasons_block(each.reasons),
                "detection": {"sample": {"detection": body_detection_block(each.body, shown)}},
            }
            for each in rejected
            if each.body is not None
        ],
    }
