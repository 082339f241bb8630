"""Photographs annotated with boxes, landmarks and names."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from luna.demo.scenario import Box

WIDTH_PX = 1280
KNOWN, UNKNOWN, ENROLLED = "#19c37d", "#ffd166", "#6aa5ff"


@dataclass(frozen=True, slots=True)
class Mark:
    """A face to mark; coordinates are pixels of the upright photograph."""

    box: Box
    landmarks: Sequence[Sequence[float]]
    text: str
    colour: str


def annotated(photograph: Path, marks: Sequence[Mark]) -> Image.Image:
    """Return the upright photograph, RGB, `WIDTH_PX` wide at most, with the marks drawn."""
    with Image.open(photograph) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = min(1.0, WIDTH_PX / image.width)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(14, round(image.width / 64)))
    for mark in marks:
        _draw(draw, mark, scale, font)
    return image


def _draw(
    draw: ImageDraw.ImageDraw, mark: Mark, scale: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    left, top = mark.box.x * scale, mark.box.y * scale
    right, bottom = left + mark.box.width * scale, top + mark.box.height * scale
    draw.rounded_rectangle((left, top, right, bottom), radius=8, outline=mark.colour, width=3)
    for x, y in mark.landmarks:
        centre_x, centre_y = x * scale, y * scale
        box = (centre_x - 4, centre_y - 4, centre_x + 4, centre_y + 4)
        draw.ellipse(box, fill=mark.colour, outline="black")
    text_box = draw.textbbox((left, bottom + 6), mark.text, font=font)
    padded = (text_box[0] - 4, text_box[1] - 3, text_box[2] + 4, text_box[3] + 3)
    draw.rounded_rectangle(padded, radius=5, fill=mark.colour)
    draw.text((left, bottom + 6), mark.text, font=font, fill="black")


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return data.getvalue()
