"""Application of filters: as SQL (`to_q`) and to facts in memory (`accepts`), with the same meaning."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, Protocol

from django.db.models import Q

from apps.common.filters.conditions import AREA, MATCH
from apps.common.filters.meta import META
from apps.common.filters.terms import TERMS

Filters = Mapping[str, Any]
"""Validated values by names of the vocabulary, as `FilterSerializer` returns them under `filters`."""

ANY_OF = "any_of"


class Condition(Protocol):
    def q(self, value: Any) -> Q: ...

    def holds(self, facts: Mapping[str, Any], value: Any) -> bool: ...


Vocabulary = Mapping[str, Condition]
"""The conditions for rows of one kind, by name."""

EVENT_CONDITIONS: Vocabulary = {**TERMS, **{each.name: each for each in (AREA, MATCH, META)}}


def to_q(filters: Filters, vocabulary: Vocabulary = EVENT_CONDITIONS) -> Q:
    """Return all filters as one SQL condition on rows (default: events). Empty filters accept all rows.

    `ANY_OF` among them has several filters, one of which must accept the row.
    """
    condition = Q()
    for name, value in filters.items():
        condition &= _any_of(value, vocabulary) if name == ANY_OF else vocabulary[name].q(value)
    return condition


def _any_of(several: Sequence[Filters], vocabulary: Vocabulary) -> Q:
    conditions = [to_q(each, vocabulary) for each in several]
    return reduce(or_, conditions) if all(conditions) else Q()  # empty filters accept all rows


def accepts(filters: Filters, facts: Mapping[str, Any], vocabulary: Vocabulary = EVENT_CONDITIONS) -> bool:
    """Return whether facts pass all filters.

    `facts` are the columns of a row by name (default: of an event); ids and times may be strings. A missing column
    counts as not estimated.
    """
    return all(vocabulary[name].holds(facts, value) for name, value in filters.items())
