"""Filters applied: as SQL (`to_q`) and to facts in memory (`accepts`), with the same meaning."""

from collections.abc import Mapping
from typing import Any, Protocol

from django.db.models import Q

from apps.common.filters.conditions import AREA, MATCH
from apps.common.filters.meta import META
from apps.common.filters.terms import TERMS

Filters = Mapping[str, Any]
"""Names of the vocabulary to checked values, as `FilterSerializer` gives them under `filters`."""


class Condition(Protocol):
    def q(self, value: Any) -> Q: ...

    def holds(self, facts: Mapping[str, Any], value: Any) -> bool: ...


Vocabulary = Mapping[str, Condition]
"""The conditions that rows of one kind are filtered by, by their names in `Filters`."""

EVENT_CONDITIONS: Vocabulary = {**TERMS, **{each.name: each for each in (AREA, MATCH, META)}}


def to_q(filters: Filters, vocabulary: Vocabulary = EVENT_CONDITIONS) -> Q:
    """Return all filters as one condition on rows, events by default. Empty filters accept everything."""
    condition = Q()
    for name, value in filters.items():
        condition &= vocabulary[name].q(value)
    return condition


def accepts(filters: Filters, facts: Mapping[str, Any], vocabulary: Vocabulary = EVENT_CONDITIONS) -> bool:
    """Return whether facts pass all filters.

    `facts` are columns of a row by name, of an event by default; ids and times may be strings. A column that is
    missing is a value that was not estimated.
    """
    return all(vocabulary[name].holds(facts, value) for name, value in filters.items())
