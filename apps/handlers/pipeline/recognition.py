"""From pictures to sightings: what the engine finds, and which of it goes on."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from apps.common.errors import LunaError
from apps.handlers.policies import Policies
from apps.handlers.types import ImageOutcome, Rejected, Sighting
from apps.recognition.api.input_types import Inputs, Picture
from apps.recognition.facade import recognise
from apps.recognition.screening import screen
from apps.recognition.types import ImageResult, Plan


def plan_of(policies: Policies, *, use_exif: bool) -> Plan:
    """What the engine is asked for."""
    detect = policies.detect_policy
    return Plan(
        detect_face=detect.detect_face,
        detect_body=detect.detect_body,
        estimators=policies.estimators,
        multiface=detect.multiface_policy,
        use_exif=use_exif,
        extract_exif=detect.extract_exif,
    )


def recognise_pictures(inputs: Inputs, plan: Plan) -> list[ImageResult]:
    """A result for each picture of a request; those that could not be read keep their error."""
    readable = [picture.image for picture in inputs.pictures if picture.error is None]
    found = iter(recognise(readable, plan) if readable else ())
    return [
        next(found) if picture.error is None else ImageResult(picture.image.filename, error=picture.error)
        for picture in inputs.pictures
    ]


def raise_if_alone(inputs: Inputs, outcomes: Sequence[ImageOutcome]) -> None:
    """The error of a picture that was the request's whole body is the request's."""
    if inputs.alone and outcomes[0].error is not None:
        raise outcomes[0].error


def screened(
    pictures: Sequence[Picture], results: Sequence[ImageResult], policies: Policies
) -> tuple[list[Sighting], list[Rejected]]:
    """The faces that go on, and those that a filter stopped."""
    passed, rejected = [], []
    for picture, result in zip(pictures, results, strict=True):
        for face in result.faces:
            if reasons := screen(face, policies.limits):
                rejected.append(Rejected(picture=picture, face=face, reasons=reasons))
            else:
                passed.append(Sighting(picture=picture, face=face))
    return passed, rejected


def outcomes_of(inputs: Inputs, results: Sequence[ImageResult]) -> list[ImageOutcome]:
    """What became of each picture."""
    return [
        ImageOutcome(filename=picture.image.filename, error=result.error, exif=result.exif)
        for picture, result in zip(inputs.pictures, results, strict=True)
    ]


def check_one_face(results: Sequence[ImageResult]) -> None:
    """Aggregation takes pictures of one person. Raises LunaError 11038."""
    for result in results:
        if len(result.faces) > 1:
            raise LunaError(11038, result.filename, json.dumps([asdict(face.rect) for face in result.faces]))
