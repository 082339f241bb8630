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


CONDITIONS: Mapping[str, Condition] = {**TERMS, **{each.name: each for each in (AREA, MATCH, META)}}


def to_q(filters: Filters) -> Q:
    """All filters as one condition on Event rows. Empty filters accept everything."""
    condition = Q()
    for name, value in filters.items():
        condition &= CONDITIONS[name].q(value)
    return condition


def accepts(filters: Filters, facts: Mapping[str, Any]) -> bool:
    """Whether facts pass all filters.

    `facts` are columns of an event by name; ids and times may be strings; a column that is not there is a value
    that was not estimated.
    """
    return all(CONDITIONS[name].holds(facts, value) for name, value in filters.items())
