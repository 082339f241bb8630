"""Filters of handlers: SQL and memory agree."""

import itertools
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.common.filters import accepts, to_q
from apps.handlers.choices import HandlerType
from apps.handlers.filters import HANDLER_TERMS
from apps.handlers.models import Handler
from tests.factories import make_account

DESCRIPTIONS = ["", "a", "A", "ä", "%", "a_b"]
Facts = dict[uuid.UUID, dict[str, object]]


@pytest.fixture
def handlers(db: None) -> Facts:
    account = make_account()
    rows = [
        Handler(account=account, description=description, handler_type=handler_type)
        for description, handler_type in itertools.product(DESCRIPTIONS, HandlerType.values)
    ]
    Handler.objects.bulk_create(rows)
    return {row.handler_id: {"description": row.description, "handler_type": row.handler_type} for row in rows}


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    filters=st.fixed_dictionaries(
        {}, optional={"description": st.sampled_from(DESCRIPTIONS), "handler_type": st.sampled_from(HandlerType.values)}
    )
)
def test_sql_and_memory_agree_on_handlers(handlers: Facts, filters: dict[str, object]) -> None:
    found = Handler.objects.unscoped().filter(to_q(filters, HANDLER_TERMS)).values_list("handler_id", flat=True)
    expected = {handler_id for handler_id, facts in handlers.items() if accepts(filters, facts, HANDLER_TERMS)}
    assert set(found) == expected
    assert expected
