"""Checks of filter terms: SQL and memory agree, every term selects, bad values are refused."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.http import QueryDict
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ErrorDetail

from apps.common.filters import FilterSerializer, Term, accepts, to_q

Facts = Mapping[UUID, Mapping[str, Any]]
"""Columns of rows by their ids."""
Pools = Mapping[str, Sequence[Any]]
"""Values of rows and filters, by column."""

reading = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def values_of(term: Term, pools: Pools, rows: Facts) -> Sequence[Any]:
    """Return the values of a term's column; a column without a pool is the id of the rows."""
    return pools.get(term.column) or sorted(rows)


def check_agreement(
    data: st.DataObject, model: Any, key: str, terms: Mapping[str, Term], rows: Facts, pools: Pools
) -> None:
    """Check that random filters select the same rows in SQL and in memory. `key`: column of the ids of `rows`."""
    filters = {}
    for name in data.draw(st.lists(st.sampled_from(sorted(terms)), min_size=1, max_size=3, unique=True)):
        one = st.sampled_from(values_of(terms[name], pools, rows))
        filters[name] = data.draw(st.lists(one, min_size=1, max_size=4) if terms[name].operator.many else one)
    found = list(model.objects.unscoped().filter(to_q(filters, terms)).values_list(key, flat=True))
    assert len(found) == len(set(found))
    assert set(found) == {row_id for row_id, facts in rows.items() if accepts(filters, facts, terms)}


def check_choice(model: Any, term: Term, rows: Facts, pools: Pools) -> None:
    """Check that some value of a term selects some rows and leaves others."""
    values = values_of(term, pools, rows)
    filters = [{term.name: [value] if term.operator.many else value} for value in values[len(values) // 2 :] or values]
    counts = [model.objects.unscoped().filter(to_q(each, {term.name: term})).count() for each in filters[:8]]
    assert any(0 < count < len(rows) for count in counts)


def problems(serializer: type[FilterSerializer], data: Any) -> dict[str, list[ErrorDetail]]:
    """Return the problems of a query or of decoded JSON, by parameter."""
    read = serializer(data=QueryDict(data) if isinstance(data, str) else data)
    read.is_valid()
    return {name: problem for name, problem in read.errors.items() if name in read.fields}
