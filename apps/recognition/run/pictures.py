"""Recognition of the pictures of a request and screening of their persons, the first step of every resource."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from apps.common import errors
from apps.common.errors import LunaError
from apps.licenses.services import Reserved, liveness_reserved
from apps.recognition.checks.recognise import recognise_checked
from apps.recognition.inputs.types import Inputs, Picture
from apps.recognition.request.build import RecognitionRequest
from apps.recognition.request.screening import Limits, Reason, screen
from apps.recognition.request.thresholds import judged
from apps.recognition.run.facade import prediction_thresholds
from apps.recognition.types import Body, Face, ImageResult

LIVENESS = "liveness"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """Face and body of one human in one picture; one of them can be absent."""

    picture: Picture
    face: Face | None = None
    body: Body | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rejected(Person):
    """Person whose face exceeds a limit, with the reasons."""

    face: Face
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecognisedPicture:
    """Result of one picture: accepted persons (those with faces first) and rejected persons."""

    picture: Picture
    result: ImageResult
    persons: tuple[Person, ...]
    rejected: tuple[Rejected, ...]

    @property
    def filename(self) -> str:
        return self.picture.image.filename

    @property
    def passed(self) -> tuple[Face, ...]:
        """Faces within the limits."""
        return tuple(each.face for each in self.persons if each.face is not None)


def recognise_pictures(inputs: Inputs, request: RecognitionRequest) -> list[RecognisedPicture]:
    """Recognise and screen each picture, in order. Raises the errors of `recognise_inputs`."""
    return screen_pictures(inputs.pictures, recognise_inputs(inputs, request), request.limits)


def recognise_inputs(inputs: Inputs, request: RecognitionRequest) -> list[ImageResult]:
    """Return a result for each picture, in order. The result of an invalid picture holds its error.

    Raises this error if the picture is the whole body of the request, and the errors of `facade.recognise`. Each
    picture whose liveness is estimated consumes a transaction of the licence: raises those of `liveness_reserved`.
    """
    readable = [picture.image for picture in inputs.pictures if picture.error is None]
    thresholds = request.limits.predictions.over(prediction_thresholds())
    checks, unmeasured_passes = request.limits.checks, request.limits.unmeasured_passes
    asks_liveness = LIVENESS in request.plan.estimators
    with liveness_reserved(len(readable)) if asks_liveness else nullcontext(Reserved(0)) as reserved:
        checked = (
            recognise_checked(readable, request.plan, checks, unmeasured_passes=unmeasured_passes) if readable else []
        )
        reserved.used = sum(map(_has_liveness, checked))
    found = iter(checked)
    results = []
    for picture in inputs.pictures:
        result = ImageResult(picture.image.filename, error=picture.error) if picture.error else next(found)
        if inputs.alone and result.error is not None:
            raise result.error
        results.append(judged(result, thresholds))
    return results


def _has_liveness(result: ImageResult) -> bool:
    return any(face.estimations.get(LIVENESS) is not None for face in result.faces)


def screen_pictures(
    pictures: Sequence[Picture], results: Sequence[ImageResult], limits: Limits
) -> list[RecognisedPicture]:
    """Split the persons of each picture by the limits. The body of a rejected face is rejected too."""
    return [_screened(picture, result, limits) for picture, result in zip(pictures, results, strict=True)]


def _screened(picture: Picture, result: ImageResult, limits: Limits) -> RecognisedPicture:
    bodies = {body.face_index: body for body in result.bodies if body.face_index is not None}
    persons, rejected = [], []
    for index, face in enumerate(result.faces):
        body, reasons = bodies.get(index), screen(face, limits)
        if reasons:
            rejected.append(Rejected(picture=picture, face=face, body=body, reasons=reasons))
        else:
            persons.append(Person(picture=picture, face=face, body=body))
    persons += [Person(picture=picture, body=body) for body in result.bodies if body.face_index is None]
    return RecognisedPicture(picture=picture, result=result, persons=tuple(persons), rejected=tuple(rejected))


def check_one_person(results: Sequence[ImageResult]) -> None:
    """Check that no picture shows several persons, because aggregation needs pictures of one person.

    Raises LunaError MULTIPLE_FACES_FOUND for several faces, MULTIPLE_BODIES_IN_IMAGE for several bodies.
    """
    for result in results:
        for found, code in (
            (result.faces, errors.MULTIPLE_FACES_FOUND),
            (result.bodies, errors.MULTIPLE_BODIES_IN_IMAGE),
        ):
            if len(found) > 1:
                raise LunaError(code, result.filename, json.dumps([one.rect.json() for one in found]))
