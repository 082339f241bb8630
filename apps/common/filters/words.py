"""Filters as sentences for people. The texts of clients among them are plain texts: a page escapes them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.common.filters.conditions import AREA, MATCH, Box, LabelSimilarity
from apps.common.filters.kinds import Kind, NumberField
from apps.common.filters.language import Filters
from apps.common.filters.meta import META, MetaCondition
from apps.common.filters.operators import Bound, Operator
from apps.common.filters.terms import TERMS, Term

MAX_SHOWN = 8  # values of one filter
SIGNS = {"gte": "≥", "gt": ">", "lt": "<", "lte": "≤"}
Names = Mapping[UUID, str]


def filters_words(
    filters: Filters, vocabulary: Mapping[str, Term] = TERMS, *, names: Names | None = None
) -> list[str]:  # fmt: skip
    """Return a sentence for each filter. `names`: names of objects, such as lists, by id."""
    return [
        sentence for name, value in filters.items() for sentence in _sentences(name, value, vocabulary, names or {})
    ]


def _sentences(name: str, value: Any, vocabulary: Mapping[str, Term], names: Names) -> Iterator[str]:
    if name == AREA.name:
        yield _area(value)
    elif name == MATCH.name:
        yield " {} ".format(_("or")).join(_similarity(each) for each in value)
    elif name == META.name:
        yield from [_("without meta")] if value is None else map(_meta, value)
    else:
        term = vocabulary[name]
        yield f"{column_words(term.column)} {_operator(term.operator)} {_values(term.kind, value, names)}"


def column_words(column: str) -> str:
    """Return the name of a column as words."""
    return _(column.replace("_", " ").removesuffix(" id"))


def _operator(operator: Operator) -> str:
    return SIGNS[operator.suffix] if isinstance(operator, Bound) else "="


def _values(kind: Kind, value: Any, names: Names) -> str:
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    shown = [_value(kind, each, names) for each in values[:MAX_SHOWN]]
    if len(values) > MAX_SHOWN:
        shown.append(_("and %(count)d more") % {"count": len(values) - MAX_SHOWN})
    return ", ".join(shown)


def _value(kind: Kind, value: Any, names: Names) -> str:
    if value is None:
        return _("not known")
    if (numbers := _numbers(kind)) is not None:
        return _(numbers(value).word.replace("_", " "))
    if isinstance(value, UUID):
        return names.get(value, str(value))
    return value.isoformat(" ", "seconds") if hasattr(value, "isoformat") else str(value)


@cache
def _numbers(kind: Kind) -> Any:
    field = kind.field()
    return field.numbers if isinstance(field, NumberField) else None


def _area(box: Box | None) -> str:
    if box is None:
        return _("without a position")
    part = box.parts[0]
    return _("position between %(south).4f°, %(west).4f° and %(north).4f°, %(east).4f°") % {
        "south": part.south,
        "west": part.west,
        "north": part.north,
        "east": part.east,
    }


def _similarity(item: LabelSimilarity) -> str:
    bounds = " ".join(f"{SIGNS[suffix]} {bound:g}" for suffix, bound in item.bounds.items())
    sentence = _("nobody of “%(label)s” matches") if item.no_match else _("somebody of “%(label)s” matches")
    return f"{sentence % {'label': item.label}} {bounds}".strip()


def _meta(condition: MetaCondition) -> str:
    sign = SIGNS.get(condition.operator, {"eq": "=", "neq": "≠"}.get(condition.operator, condition.operator))
    return f"meta.{'.'.join(condition.path)} {sign} {', '.join(map(str, condition.values))}"
