"""Annotations of JSON types: the typed dictionaries that responses consist of.

A function that builds JSON returns a `TypedDict`, and `apps.common.api.typed` derives the OpenAPI schema from it. The
component has the name of the class without `Json`. A text in `Annotated` is the description of a member.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from apps.common.filters.enums import Number

Json = dict[str, object]
SUFFIX = "Json"


class StoredJsonDecoder(json.JSONDecoder):
    """Decoder of `jsonb` columns with JSON of clients.

    PostgreSQL writes the number 1e40 with all its digits, and responses hold whole numbers of 64 bits: longer ones are
    read as floats.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"parse_int": _whole, **kwargs})


def _whole(text: str) -> int | float:
    number = int(text) if len(text) <= len(str(-(2**63))) else None
    return float(text) if number is None or not -(2**63) <= number < 2**64 else number


@dataclass(frozen=True, slots=True)
class Format:
    """`Annotated[str, Format(…)]`: the format of a text in OpenAPI."""

    name: str


@dataclass(frozen=True, slots=True)
class Example:
    """`Annotated[X, Example(…)]`: a value that the examples of the OpenAPI document show."""

    value: Any = field(compare=False)


IdJson = Annotated[str, Format("uuid")]
TimeJson = Annotated[str, Format("date-time")]


@dataclass(frozen=True, slots=True)
class OneOf:
    """`Annotated[str, OneOf(…)]`: the words or numbers that a value can be."""

    values: tuple[str | int, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """`Annotated[dict[str, X], Keys(…)]`: the names of the members. Each can be missing."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """`Annotated[Json, Component(…)]`: a component by its name, for a type of a room that must not be imported."""

    name: str


@dataclass(frozen=True, slots=True)
class Members:
    """`Annotated[Json, Members(…)]`: a component whose members come from a table, as types by name.

    `optional`: whether members can be missing.
    """

    component: str
    types: Callable[[], Mapping[str, Any]] = field(compare=False)
    optional: bool = False
    text: str = ""


def keys(enumeration: type[Number]) -> Keys:
    """Return the words of an enumeration as names of members, such as scores."""
    return Keys(tuple(number.word for number in enumeration))


def words(enumeration: type[Number]) -> OneOf:
    """Return the words of an enumeration."""
    return OneOf(tuple(number.word for number in enumeration))


def numbers(enumeration: type[Number]) -> OneOf:
    """Return the numbers of an enumeration, with its words as text."""
    meanings = ", ".join(f"{number.value} {number.word}" for number in enumeration)
    return OneOf(tuple(int(number) for number in enumeration), meanings)
