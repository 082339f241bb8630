"""Time partitions of events: made ahead of time, dropped by retention."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.accounts.models import AuditRecord
from apps.common.descriptors import Descriptor
from apps.common.times import utc_now
from apps.events import copying, partitions, services
from apps.events.config import EventsStorage
from apps.events.consistency import owners_check
from apps.events.models import Event, EventDescriptor
from apps.events.partitions import (
    TABLES,
    boundary_after,
    key_at,
    partition_drop,
    partitions_expire,
    partitions_make,
    partitions_of,
)
from apps.events.services import COPY_MIN, events_create
from apps.events.thin import THIN_EVENTS
from apps.events.types import EventDraft, EventRecord
from tests.factories import make_account, make_event

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
Configure = Callable[..., None]


def partition_of(event: Event) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM events_event WHERE id = %s", [event.pk])
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("period", "after"), [("day", (11, 28)), ("week", (11, 30)), ("month", (12, 1)), ("year", (1, 1))]
)
def test_a_period_ends_at_its_boundary(period: str, after: tuple[int, int]) -> None:
    found = boundary_after(NOW, period)
    assert (found.month, found.day, found.hour, found.minute) == (*after, 0, 0)
    assert boundary_after(found, period) > found


def test_partitions_cover_all_keys_without_gaps_and_tables_agree() -> None:
    partitions_make(now=utc_now() + timedelta(days=400))
    dropped = partitions_of("events_event")[2]
    assert dropped.high is not None
    partition_drop(low=dropped.low, high=dropped.high)
    made = partitions_make(now=utc_now() + timedelta(days=400))
    assert made == [dropped.name, dropped.name.replace("_event_", "_eventdescriptor_")]
    ranges = [[(each.low, each.high) for each in partitions_of(table)] for table in TABLES]
    assert ranges[0] == ranges[1]
    assert ranges[0][0][0] is None
    assert ranges[0][-1][1] is None
    assert all(before[1] == after[0] for before, after in pairwise(ranges[0]))
    assert partitions_make(now=utc_now() + timedelta(days=400)) == []


def test_rows_of_the_last_partition_stay_and_new_ones_find_their_own(configure: Configure) -> None:
    account = make_account()
    with connection.cursor() as cursor:  # as if no process had made partitions for long
        for table in TABLES:
            for each in partitions_of(table):
                cursor.execute(f"DROP TABLE {each.name}")
            cursor.execute(f"CREATE TABLE {table}_future PARTITION OF {table} FOR VALUES FROM (MINVALUE) TO (MAXVALUE)")
    old = make_event(account, Descriptor(1, np.array([1, 0], np.float32)))
    configure(EventsStorage, partition_period="day", partitions_ahead=2)
    assert len(partitions_make()) == 6
    new = make_event(account)
    assert partition_of(old) == partition_of(new)
    assert partition_of(new) == f"events_event_p{utc_now():%Y%m%d}"
    assert EventDescriptor.objects.filter(event=old).count() == 1


def test_retention_drops_events_with_their_descriptors_and_copies(configure: Configure) -> None:
    list(THIN_EVENTS.build())
    make_event(make_account(), Descriptor(1, np.array([1, 0], np.float32)))
    assert THIN_EVENTS.rows() == (1, 1)
    later = utc_now() + timedelta(days=100)
    assert partitions_expire(now=later) == []  # off by default
    configure(EventsStorage, retention_days=365)
    assert partitions_expire(now=later) == []
    configure(EventsStorage, retention_days=30)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the test is one transaction
    dropped = partitions_expire(now=later)
    assert {"events_event", "events_eventdescriptor"} == {name.rpartition("_p")[0] for name in dropped}
    assert not Event.objects.unscoped().exists()
    assert not EventDescriptor.objects.exists()
    assert THIN_EVENTS.rows() == (0, 0)
    lines = AuditRecord.objects.filter(action="delete", object_type="events").values_list("object_id", flat=True)
    assert set(lines) == {name for name in dropped if name.startswith("events_event_p")}


def test_a_clock_that_is_set_back_stores_events(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind the oldest partition, whose predecessors were dropped."""
    account = make_account()
    configure(EventsStorage, retention_days=30)
    later = utc_now() + timedelta(days=100)
    partitions_make(now=later)
    assert len(partitions_expire(now=later)) >= 4
    partitions_make(now=later)
    (first, second, *_), (descriptors, *_) = (partitions_of(table) for table in TABLES)
    assert (first.low, first.high) == (None, second.low) == (descriptors.low, descriptors.high)
    assert partitions_make(now=later) == partitions_expire(now=later) == []
    set_back = datetime(1970, 1, 1, 0, 10, tzinfo=UTC)  # a board without a battery
    monkeypatch.setattr(services, "utc_now", lambda: set_back)
    monkeypatch.setattr(copying, "utc_now", lambda: set_back)
    for count in (1, COPY_MIN):
        drafts = [EventDraft(create_time=set_back) for _ in range(count)]
        events_create(account_id=account.pk, records=[EventRecord(draft) for draft in drafts])
    stored = Event.objects.for_account(account.pk)
    assert {(event.insert_time, partition_of(event)) for event in stored} == {(set_back, first.name)}
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the test is one transaction
    assert len(partitions_expire(now=later)) == 1


def test_an_interrupted_run_is_finished_by_the_next(configure: Configure) -> None:
    make_event(make_account())
    first = partitions_of("events_event")[0]
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the test is one transaction
        cursor.execute(f"ALTER TABLE events_event DETACH PARTITION {first.name}")
    assert partitions_expire() == [first.name]
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [first.name])
        assert cursor.fetchone() == (None,)


def test_keys_hold_the_time_of_storage() -> None:
    before = utc_now() - timedelta(milliseconds=2)
    event = make_event(make_account())
    assert key_at(before) <= event.pk < key_at(utc_now() + timedelta(milliseconds=2))
    created = Event.objects.create(account=make_account(), create_time=NOW, end_time=NOW)
    assert abs(partitions.time_of(created.pk) - created.insert_time) < timedelta(minutes=1)


def test_a_descriptor_without_its_event_is_a_fault() -> None:
    event = make_event(make_account(), Descriptor(1, np.array([1, 0], np.float32)))
    assert list(owners_check(False)) == []
    Event.objects.unscoped().filter(pk=event.pk)._raw_delete("default")
    (fault,) = owners_check(False)
    mend: Any = fault.mend
    mend()
    assert list(owners_check(False)) == []
