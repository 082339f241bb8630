"""Pictures of a request through the engine, and the faces of each that go on: what every resource begins with."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from apps.common.errors import LunaError
from apps.recognition.api.input_types import Inputs, Picture
from apps.recognition.checks.recognise import recognise_checked
from apps.recognition.screening import Limits, Reason, screen
from apps.recognition.types import Face, ImageResult, Plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rejected:
    """A face that a limit stopped."""

    picture: Picture
    face: Face
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What was found in one picture: the faces that go on, and those that do not."""

    picture: Picture
    result: ImageResult
    passed: tuple[Face, ...]
    rejected: tuple[Rejected, ...]

    @property
    def filename(self) -> str:
        return self.picture.image.filename


def recognise_pictures(inputs: Inputs, plan: Plan, limits: Limits) -> list[Seen]:
    """What is in each picture, in order. A picture that could not be read or recognised keeps its error.

    Raises that error when the picture was the request's whole body, and what `facade.recognise` raises.
    """
    readable = [picture.image for picture in inputs.pictures if picture.error is None]
    found = iter(recognise_checked(readable, plan, limits.checks) if readable else ())
    seen = []
    for picture in inputs.pictures:
        result = ImageResult(picture.image.filename, error=picture.error) if picture.error else next(found)
        if inputs.alone and result.error is not None:
            raise result.error
        seen.append(_screened(picture, result, limits))
    return seen


def _screened(picture: Picture, result: ImageResult, limits: Limits) -> Seen:
    verdicts = [(face, screen(face, limits)) for face in result.faces]
    return Seen(
        picture=picture,
        result=result,
        passed=tuple(face for face, reasons in verdicts if not reasons),
        rejected=tuple(Rejected(picture=picture, face=face, reasons=reasons) for face, reasons in verdicts if reasons),
    )


def check_one_face(seen: Sequence[Seen]) -> None:
    """Aggregation takes pictures of one person. Raises LunaError 11038."""
    for each in seen:
        if len(each.result.faces) > 1:
            rects = json.dumps([asdict(face.rect) for face in each.result.faces])
            raise LunaError(11038, each.filename, rects)
