"""Serializer fields as inputs of forms, and their texts as JSON.

Each kind of field has one `Shape`: the input that shows a JSON value, and the JSON value of the texts of this input.
`UNSET` is the value of an input without text; the member is then omitted, and takes its default.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.fields import empty

from apps.accounts.adminbase.nodes import Input, Options
from apps.common.fields import NULL, FilterTimeField, FlagField
from apps.common.filters.kinds import NumberField
from apps.handlers.policies.callbacks import HeadersField

UNSET: Any = empty
AnyField = Any

TIME_EXAMPLE = "now-7d, 2026-01-31T08:00Z"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kind of field is shown and read."""

    show: Callable[[AnyField, Input, Any], Input]
    read: Callable[[AnyField, Sequence[str]], Any]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def _number(text: str) -> Any:
    """Return a JSON number, or the text itself, which the serializer rejects."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text and "e" not in text.lower() else number


def _first(texts: Sequence[str]) -> str:
    return next((text for text in texts if text), "")


def _one(convert: Callable[[str], Any] = str) -> Callable[[AnyField, Sequence[str]], Any]:
    def read(field: AnyField, texts: Sequence[str]) -> Any:
        text = _first(texts)
        return UNSET if text == "" else convert(text)

    return read


def _values(value: Any) -> tuple[str, ...]:
    return () if value is UNSET or value is None else (_text(value),)


def _show_text(field: AnyField, node: Input, value: Any) -> Input:
    values = (NULL,) if value is None and field.allow_null else _values(value)
    return replace(node, values=values, length=getattr(field, "max_length", None))


def _show_time(field: AnyField, node: Input, value: Any) -> Input:
    return replace(node, values=_values(value), placeholder=TIME_EXAMPLE)


def _show_number(field: AnyField, node: Input, value: Any) -> Input:
    low, high = (getattr(field, name, None) for name in ("min_value", "max_value"))
    return replace(
        node,
        widget="number",
        values=_values(value),
        minimum="" if low is None else str(low),
        maximum="" if high is None else str(high),
    )


def _options(field: AnyField) -> Options:
    if isinstance(field, FlagField):
        return (("1", _("yes")), ("0", _("no")))
    if isinstance(field, NumberField):
        words = tuple((str(number.value), _(number.word.replace("_", " "))) for number in field.numbers)
        return (*words, (NULL, _("not estimated"))) if field.allow_null else words
    return tuple((str(key), _word(str(word))) for key, word in field.choices.items())


def _word(word: str) -> str:
    return word if word.lstrip("-").isdecimal() else _(word.replace("_", " ").lower())


def _chosen(field: AnyField, value: Any) -> str:
    """Return the option of a value: enumerations accept the number and the word."""
    if value is None:
        return NULL
    if isinstance(field, NumberField) and isinstance(value, str):
        return str(field.words.get(value, value))
    return _text(value)


def _show_choice(field: AnyField, node: Input, value: Any) -> Input:
    values = () if value is UNSET else (_chosen(field, value),)
    return replace(node, widget="choice", values=values, options=_options(field))


def _choice(field: AnyField, texts: Sequence[str]) -> Any:
    text = _first(texts)
    if text == "":
        return UNSET
    if isinstance(field, FlagField | NumberField):
        return _number(text)
    return next((key for key in field.choices if str(key) == text), text)


def _listed(value: Any) -> list[Any]:
    if value is UNSET or value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _show_list(field: AnyField, node: Input, value: Any) -> Input:
    child = field.child
    if isinstance(child, NumberField | serializers.ChoiceField):
        values = tuple(_chosen(child, each) for each in _listed(value))
        return replace(node, widget="choices", values=values, options=_options(child))
    return replace(
        node,
        widget="lines",
        values=tuple(NULL if each is None else _text(each) for each in _listed(value)),
        help=_(node.help) if node.help else _("One value a line."),
        length=None,
    )


def _read_list(field: AnyField, texts: Sequence[str]) -> Any:
    child = field.child
    if isinstance(child, NumberField | serializers.ChoiceField):
        parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
        found = [NULL if part == NULL else _choice(child, [part]) for part in parts]
    else:
        lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
        numeric = isinstance(child, serializers.IntegerField | serializers.FloatField)
        found = [_number(line) if numeric else line for line in lines]
    return found or UNSET


def _show_headers(field: AnyField, node: Input, value: Any) -> Input:
    lines = tuple(f"{name}: {text}" for name, text in (value or {}).items()) if isinstance(value, dict) else ()
    return replace(node, widget="lines", values=lines, help=_("One header a line: Name: value."))


def _read_headers(field: AnyField, texts: Sequence[str]) -> Any:
    pairs = [line.partition(":") for text in texts for line in text.splitlines() if line.strip()]
    return {name.strip(): value.strip() for name, _colon, value in pairs} or UNSET


def _show_json(field: AnyField, node: Input, value: Any) -> Input:
    return replace(node, values=() if value is UNSET else (json.dumps(value, ensure_ascii=False),), placeholder="JSON")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


TEXT, JSON = Shape(_show_text, _one()), Shape(_show_json, _one(_json))
# The first class that fits decides.
SHAPES: tuple[tuple[Any, Shape], ...] = (
    (FlagField, Shape(_show_choice, _choice)),
    (NumberField, Shape(_show_choice, _choice)),
    (serializers.ChoiceField, Shape(_show_choice, _choice)),
    (serializers.IntegerField, Shape(_show_number, _one(_number))),
    (serializers.FloatField, Shape(_show_number, _one(_number))),
    (HeadersField, Shape(_show_headers, _read_headers)),
    (serializers.ListField, Shape(_show_list, _read_list)),
    (FilterTimeField, Shape(_show_time, _one())),
    (serializers.CharField, TEXT),
    (serializers.UUIDField, TEXT),
)


def shape_of(field: AnyField) -> Shape:
    """Return the shape of a field. A field of no known kind is shown and read as JSON."""
    return next((shape for kind, shape in SHAPES if isinstance(field, kind)), JSON)


def with_default(field: AnyField, node: Input, default: Any) -> Input:
    """Return an input that names the default of its member; without one, the input is unchanged."""
    if default is UNSET or default is None or isinstance(default, list | tuple | dict):
        return node
    if node.widget == "choice":
        chosen = _chosen(field, default)
        text = next((word for key, word in node.options if key == chosen), chosen)
    else:
        text = _text(default)
    return replace(node, default=_("default: %(value)s") % {"value": text}) if text else node
