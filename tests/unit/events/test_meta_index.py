"""Indexes of paths of `meta`: made and dropped by a command, used by searches."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.common.filters.meta import META, meta_condition
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.events.models import Event
from apps.events.selectors import events_filter, events_page
from tests.factories import make_account, make_event

pytestmark = pytest.mark.django_db


def listed() -> list[str]:
    output = StringIO()
    call_command("meta_index", "list", stdout=output)
    return output.getvalue().splitlines()


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("user.name", "meta.user.name", "O'Hara 7"),
        ("user.name", "meta.user.name__in", "O'Hara 7,nobody"),
        ("temperature:numeric", "meta.temperature:numeric", "7"),
        ("temperature:numeric", "meta.temperature__lt:integer", "0"),
        ("temperature:numeric", "meta.temperature__gte:numeric", "500"),
        ("it's.100%", "meta.it's.100%", "x"),
    ],
)
def test_a_search_uses_the_index(path: str, name: str, value: str) -> None:
    account = make_account()
    for number in range(20):
        make_event(account, meta={"user": {"name": f"O'Hara {number}"}, "temperature": number, "it's": {"100%": "y"}})
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the test is one transaction
    call_command("meta_index", "create", path)
    call_command("meta_index", "create", path)
    assert listed() == [path]
    filters: dict[str, Any] = {META.name: [meta_condition(name, value)]}
    with connection.cursor() as cursor:  # twenty events fit into one page, which any other plan reads as fast
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexonlyscan = off")
    rows = events_filter(scope=Scope(account.account_id), filters=filters)
    assert "event_meta_" in rows.explain()
    assert rows.count() == (1 if "7" in value else 0)
    call_command("meta_index", "drop", path)
    assert listed() == []


def test_the_planner_chooses_the_index_of_rare_values() -> None:
    """Without statistics of the values it reads all events in the order of time: 900 ms of ten million."""
    account = make_account()
    make_event(account, meta={"gate": "gate 0"})
    columns = {str(field.column): str(field.column) for field in Event._meta.concrete_fields}
    columns |= {"id": "id + n", "event_id": "gen_random_uuid()", "meta": "jsonb_build_object('gate', 'gate ' || n)"}
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO events_event ({', '.join(columns)}) SELECT {', '.join(columns.values())}"  # noqa: S608
            " FROM events_event, generate_series(1, 3000) n"
        )
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the test is one transaction

    def plan() -> str:
        """Search, and return the plan of the statement that finds the events."""
        filters: dict[str, Any] = {META.name: [meta_condition("meta.gate", "gate 7")]}
        with CaptureQueriesContext(connection) as queries:
            (found,) = events_page(scope=Scope(account.account_id), filters=filters, page=Page(1, 100))
        assert found.meta == {"gate": "gate 7"}
        (search,) = (each["sql"] for each in queries if "LIMIT" in each["sql"])
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {search}")
            return str(cursor.fetchall())

    assert "event_meta_" not in plan()
    call_command("meta_index", "create", "gate")
    assert "event_meta_" in plan()
    call_command("meta_index", "drop", "gate")
    assert "event_meta_" not in plan()


@pytest.mark.parametrize("path", ["", "a..b", "a b", "a:float", "a__gte", "a__eq", "x" * 300])
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(CommandError):
        call_command("meta_index", "create", path)


def test_an_index_that_does_not_exist_and_a_missing_path() -> None:
    for arguments in (("drop", "a"), ("drop",), ("create",)):
        with pytest.raises(CommandError):
            call_command("meta_index", *arguments)
