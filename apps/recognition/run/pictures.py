"""Recognise the pictures of a request and screen the persons in each: the first step of every resource."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from apps.common import errors
from apps.common.errors import LunaError
from apps.recognition.checks.recognise import recognise_checked
from apps.recognition.inputs.types import Inputs, Picture
from apps.recognition.request.screening import Limits, Reason, screen
from apps.recognition.request.thresholds import judged
from apps.recognition.run.facade import prediction_thresholds
from apps.recognition.types import Body, Face, ImageResult, Plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """Face and body of one human in one picture; one of them may be absent."""

    face: Face | None = None
    body: Body | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rejected:
    """A face that a limit stopped, and the body of the same person, which goes with it."""

    picture: Picture
    face: Face
    body: Body | None = None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecognisedPicture:
    """What was found in one picture: the persons that passed the limits, those with faces first, and the faces that
    did not.
    """

    picture: Picture
    result: ImageResult
    persons: tuple[Person, ...]
    rejected: tuple[Rejected, ...]

    @property
    def filename(self) -> str:
        return self.picture.image.filename

    @property
    def passed(self) -> tuple[Face, ...]:
        """The faces that passed the limits."""
        return tuple(each.face for each in self.persons if each.face is not None)


def recognise_pictures(inputs: Inputs, plan: Plan, limits: Limits) -> list[RecognisedPicture]:
    """What is in each picture, in order. A picture that could not be read or recognised keeps its error.

    Raises that error when the picture was the request's whole body, and what `facade.recognise` raises.
    """
    readable = [picture.image for picture in inputs.pictures if picture.error is None]
    thresholds = limits.predictions.over(prediction_thresholds())
    found = iter(recognise_checked(readable, plan, limits.checks) if readable else ())
    seen = []
    for picture in inputs.pictures:
        result = ImageResult(picture.image.filename, error=picture.error) if picture.error else next(found)
        if inputs.alone and result.error is not None:
            raise result.error
        seen.append(_screened(picture, judged(result, thresholds), limits))
    return seen


def _screened(picture: Picture, result: ImageResult, limits: Limits) -> RecognisedPicture:
    bodies = {body.face_index: body for body in result.bodies if body.face_index is not None}
    verdicts = [(face, bodies.get(index), screen(face, limits)) for index, face in enumerate(result.faces)]
    lone = [Person(body=body) for body in result.bodies if body.face_index is None]
    return RecognisedPicture(
        picture=picture,
        result=result,
        persons=(*(Person(face=face, body=body) for face, body, reasons in verdicts if not reasons), *lone),
        rejected=tuple(
            Rejected(picture=picture, face=face, body=body, reasons=reasons)
            for face, body, reasons in verdicts
            if reasons
        ),
    )


def check_one_person(seen: Sequence[RecognisedPicture]) -> None:
    """Aggregation takes pictures of one person. Raises LunaError MULTIPLE_FACES_FOUND for several faces,
    MULTIPLE_BODIES_FOUND for several bodies.
    """
    for each in seen:
        for found, code in (
            (each.result.faces, errors.MULTIPLE_FACES_FOUND),
            (each.result.bodies, errors.MULTIPLE_BODIES_FOUND),
        ):
            if len(found) > 1:
                raise LunaError(code, each.filename, json.dumps([one.rect.json() for one in found]))
