"""Filters of handlers: SQL and memory agree on every term, and bad values are refused."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.handlers.choices import HandlerType
from apps.handlers.filters import HANDLER_TERMS, MAX_DESCRIPTION_CHARACTERS, HandlerFilterSerializer
from apps.handlers.models import Handler
from tests.factories import make_account
from tests.unit.common.terms import Facts, check_agreement, check_choice, problems, reading

POOLS: dict[str, list[Any]] = {  # by column, of the rows and of the filters
    "description": ["", "a", "A", "ä", "%", "a_b"],
    "handler_type": HandlerType.values,
}


@pytest.fixture
def handlers(db: None) -> Facts:
    account = make_account()
    facts = [dict(zip(POOLS, values, strict=True)) for values in itertools.product(*POOLS.values())]
    rows = Handler.objects.bulk_create([Handler(account=account, **columns) for columns in facts])
    return {row.handler_id: columns for row, columns in zip(rows, facts, strict=True)}


@reading
@given(data=st.data())
def test_sql_and_memory_agree_on_handlers(handlers: Facts, data: st.DataObject) -> None:
    check_agreement(data, Handler, "handler_id", HANDLER_TERMS, handlers, POOLS)


@pytest.mark.parametrize("name", sorted(HANDLER_TERMS))
def test_every_term_chooses_handlers(handlers: Facts, name: str) -> None:
    assert HANDLER_TERMS[name].column in POOLS
    check_choice(Handler, HANDLER_TERMS[name], handlers, POOLS)


@pytest.mark.parametrize(
    "query",
    [
        "description=%00",
        "description=" + "x" * (MAX_DESCRIPTION_CHARACTERS + 1),
        "handler_type=3",
        "handler_type=static",
        "handler_type=0,1",
        "account_id=me",
        "account_id=null",
    ],
)
def test_bad_values_name_the_parameter(query: str) -> None:
    assert list(problems(HandlerFilterSerializer, query)) == [query.partition("=")[0]]
