"""Lists of large tables in the admin site: pages by places, and searches that take a limited time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Func, TextField, Value
from django.test import Client
from django.utils.html import escape

from apps.accounts.adminbase import lists, walks
from apps.accounts.models import Account, AuditRecord
from apps.events.admin import EventAdmin
from apps.events.models import Event
from tests.factories import NOON, make_event

pytestmark = pytest.mark.django_db
EVENTS = "/admin/events/event/"
COUNT, PER_PAGE = 11, 4


@pytest.fixture
def events(owner: Account, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Events in the order of the list, which is that of a large table. Some have one time."""
    made = [
        make_event(owner, create_time=NOON - timedelta(minutes=number // 3), source=f"gate {number}", gender=number % 2)
        for number in range(COUNT)
    ]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event")
    monkeypatch.setattr(lists, "WALKED_ROWS", COUNT - 1)
    monkeypatch.setattr(EventAdmin, "list_per_page", PER_PAGE)
    return sorted(made, key=lambda event: (event.create_time, event.pk), reverse=True)


def pages_of(site: Client, address: str) -> Iterator[Any]:
    """Follow the links to further pages."""
    while address:
        answer = site.get(address)
        assert answer.status_code == 200, answer.headers
        listed = answer.context["cl"]
        assert len(listed.result_list) <= PER_PAGE
        assert escape(listed.following) in answer.content.decode()
        yield listed
        address = f"{EVENTS}{listed.following}" if listed.following else ""


def test_pages_follow_one_another_by_places(site: Client, owner: Account, events: list[Event]) -> None:
    shown = list[Event]()
    for listed in pages_of(site, EVENTS):
        shown += listed.result_list
        make_event(owner, create_time=NOON + timedelta(hours=1))  # a new event shifts nothing
    assert shown == events


def test_the_order_is_that_of_the_index_or_its_reverse(site: Client, events: list[Event]) -> None:
    columns = site.get(EVENTS).context["cl"].list_display
    time, similarity = (columns.index(name) for name in ("create_time", "top_match"))
    ascending = [event for listed in pages_of(site, f"{EVENTS}?o={time}") for event in listed.result_list]
    assert ascending == events[::-1]
    for column in (f"-{time}", similarity, f"-{similarity}.{time}", 99, "x"):
        assert next(pages_of(site, f"{EVENTS}?o={column}")).result_list == events[:PER_PAGE]


def test_a_filtered_list(site: Client, events: list[Event]) -> None:
    wanted = [event for event in events if event.gender == 1]
    found = list(pages_of(site, f"{EVENTS}?q=gate&gender__exact=1"))
    assert [event for listed in found for event in listed.result_list] == wanted
    assert [listed.count_shown() for listed in found] == ["4 events on this page", "1 event on this page"]
    assert not any(listed.walk.unfinished for listed in found)


def test_an_unfinished_search_says_so_and_continues(
    site: Client, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row costs 20 ms here. No row is left out and none is shown twice."""
    pause = Func(Value(0.02), function="pg_sleep", output_field=TextField())
    slow = Event.everything.annotate(pause=pause).filter(pause__isnull=False)
    monkeypatch.setattr(EventAdmin, "get_queryset", lambda *_: slow)
    for name, value in {"WHOLE_S": 0.01, "FIRST_S": 0, "FURTHER_S": 0, "WINDOW_ROWS": 3}.items():
        monkeypatch.setattr(walks, name, value)
    first = site.get(f"{EVENTS}?q=gate+10").content.decode()
    assert f"Searched as far as {NOON:%Y-%m-%d %H:%M:%S} UTC." in first
    assert first.count("Search on") == 2
    found = list(pages_of(site, f"{EVENTS}?q=gate+10"))
    assert [len(listed.result_list) for listed in found] == [0, 0, 0, 1]
    assert [listed.walk.unfinished for listed in found] == [True, True, True, False]
    every = list(pages_of(site, f"{EVENTS}?q=gate"))
    assert [event for listed in every for event in listed.result_list] == events
    assert any(listed.walk.unfinished for listed in every)


@pytest.mark.parametrize(
    "place",
    ["7", "x", "[]", "{}", "null", '["x", 1]', '["2026-01-01T00:00:00Z", null]', '["2026-01-01T00:00:00Z"]',
     '["2026-01-01T00:00:00Z", 99999999999999999999999]', '["2026-01-01T00:00:00Z", "\\u0000"]', "[1, 2]",
     '[{"a": 1}, 1]', '[["a"], true]'],
)  # fmt: skip
def test_what_is_no_place_is_the_first_page(site: Client, events: list[Event], place: str) -> None:
    assert site.get(EVENTS, {"p": place}).context["cl"].result_list == events[:PER_PAGE]


def test_a_term_in_quotes_is_a_whole_value(site: Client, owner: Account, events: list[Event]) -> None:
    def found(term: str) -> list[Any]:
        return list(site.get(EVENTS, {"q": term}).context["cl"].result_list)

    owner.login = "museum@luna.test"  # without digits: terms are searched in it, too
    owner.save()
    one = next(event for event in events if event.source == "gate 1")
    assert found('"gate 1"') == [one]
    assert len(found("gate 1")) == 2  # and gate 10
    assert found('"gate"') == found('"GATE 1"') == found('""x') == []
    person = make_event(owner, user_data="Ada", create_time=NOON - timedelta(days=1))
    assert found('"Ada"') == [person]


def test_orders_that_a_walk_follows() -> None:
    assert walks.order_of(Event, ("-create_time",)) == walks.Order(Event, ("create_time", "id"), True)
    assert walks.order_of(AuditRecord, ("pk",)) == walks.Order(AuditRecord, ("id",), False)
    for names in ((), ("source",), ("-create_time", "id"), ("account__login",), ("nothing",)):
        assert walks.order_of(Event, names) is None, names
