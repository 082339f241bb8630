"""Photographs that an operator uploads to try something. They are never stored."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.imagestore.admin import Box, boxed, jpeg_of, upright
from apps.recognition.inputs.types import Inputs, Picture
from apps.recognition.run.pictures import Person
from apps.recognition.types import ImageInput, Rect
from apps.workbench.errors import WorkbenchError

MAX_PHOTOGRAPHS = 10
CROP_PIXELS = 160
MARGIN = 0.25  # of a box, on each side of a crop


@dataclass(frozen=True, slots=True)
class Shown:
    """An uploaded photograph with boxes, and a crop of each box, as `data:` URLs; empty for an unreadable picture."""

    url: str = ""
    crops: Sequence[str] = ()


def inputs_of(files: "Sequence[UploadedFile[bytes]]") -> Inputs:
    """Return uploaded photographs as inputs of the pipeline. Raises WorkbenchError for none, too many or too large."""
    if not files:
        raise WorkbenchError(_("Choose a photograph."))
    if len(files) > MAX_PHOTOGRAPHS:
        raise WorkbenchError(_("At most %(most)d photographs are tried at a time.") % {"most": MAX_PHOTOGRAPHS})
    most = config(Images).max_bytes
    if large := [file.name for file in files if (file.size or 0) > most]:
        raise WorkbenchError(
            _("“%(name)s” is larger than %(most)d MiB.") % {"name": large[0], "most": most // 1024**2}
        )  # fmt: skip
    return Inputs(
        pictures=tuple(Picture(image=ImageInput(file.read(), file.name or "photograph")) for file in files),
        alone=len(files) == 1,
    )


def rect_of(person: Person) -> Rect:
    """Return the box of the face, of a person without a face that of the body."""
    found = person.face or person.body
    assert found is not None  # noqa: S101 - a person has one of both
    return found.rect


def shown(data: bytes, rects: Iterable[Rect]) -> Shown:
    """Return an uploaded photograph for the page."""
    boxes: list[Box] = [(rect.x, rect.y, rect.width, rect.height) for rect in rects]
    try:
        picture = upright(data)
    except (LunaError, OSError):
        return Shown()
    crops = []
    for x, y, width, height in boxes:
        dx, dy = width * MARGIN, height * MARGIN
        crop = picture.crop((int(x - dx), int(y - dy), int(x + width + dx), int(y + height + dy)))
        crop.thumbnail((CROP_PIXELS, CROP_PIXELS))
        crops.append(_url(jpeg_of(crop)))
    return Shown(_url(jpeg_of(boxed(picture, boxes))), crops)


def _url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
