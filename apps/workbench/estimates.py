"""Estimations of a face as a table that people read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from apps.accounts.adminbase.display import number_text
from apps.common.filters.enums import Gender
from apps.recognition.shapes import face_detection_block
from apps.recognition.types import Face

HIDDEN_NAMES = frozenset({"estimations", "properties"})  # of blocks around values
NO_TABLE = frozenset({"rect", "landmarks5", "landmarks68"})  # the picture shows them


@dataclass(frozen=True, slots=True)
class Row:
    """One value. `share`: the value as a share 0..1, None for values that are none."""

    name: str
    text: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimation with its values."""

    name: str
    rows: tuple[Row, ...]


def face_estimates(face: Face) -> list[Estimate]:
    """Return the estimations of a face by their names in the API, without those that are not determined."""
    shown = frozenset(face.estimations) - {"face_descriptor"}
    block: dict[str, Any] = {**face_detection_block(face, shown)}
    attributes = block.pop("attributes") or {}
    found = {"score": block.pop("score", None), **attributes, **block}
    estimates = (
        Estimate(_words(name), tuple(_rows("", value)))
        for name, value in found.items()
        if name not in NO_TABLE and value is not None
    )
    return [each for each in estimates if each.rows]


def _rows(name: str, value: Any) -> Iterator[Row]:
    """Yield the values of a block of the API. Points are left out."""
    if isinstance(value, Mapping):
        for member, inner in value.items():
            part = "" if member in HIDDEN_NAMES else _words(str(member))
            yield from _rows(" · ".join(each for each in (name, part) if each), _gender(member, inner))
    elif isinstance(value, list | tuple):
        if value and all(isinstance(each, str) for each in value):
            yield Row(name, ", ".join(map(_words, value)))
    elif isinstance(value, float):
        yield Row(name, number_text(value, 3 if abs(value) <= 1 else 1), value if 0 <= value <= 1 else None)
    elif value is not None:
        yield Row(name, _words(str(value)))


def _gender(member: str, value: Any) -> Any:
    """Return the word of a gender, which the API shows as a number; other values are returned as they are."""
    return Gender(value).word if member == "gender" and value in (0, 1) else value


def _words(name: str) -> str:
    return gettext(name.replace("_", " ")) if name else ""
