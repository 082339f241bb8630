"""Storing events."""

from dataclasses import fields
from uuid import uuid4

import numpy as np
import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.common.config import override_config
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.events.config import EventsStorage
from apps.events.models import Event, EventDescriptor
from apps.events.partitions import partitions_of
from apps.events.services import COPY_MIN, events_create
from apps.events.types import EventDraft, EventRecord
from tests.factories import NOON, make_account, unit_vectors

pytestmark = pytest.mark.django_db


def test_a_draft_has_every_column() -> None:
    columns = {field.name for field in Event._meta.concrete_fields} - {"id", "account", "insert_time"}
    assert {field.name for field in fields(EventDraft)} == columns
    assert set(EventDraft(create_time=NOON).facts()) == columns


def test_event_is_stored_as_drafted() -> None:
    account = make_account()
    draft = EventDraft(
        create_time=NOON,
        source="gate",
        tags=("vip", "known"),
        meta={"a": [1, None, "ä"]},
        attach_result=(uuid4(),),
        upper_clothing_colors=(1, 2),
        match_result=({"label": "vip", "candidates": []},),
        longitude=36.6,
        latitude=55.7,
    )
    events_create(account_id=account.account_id, records=[EventRecord(draft)])
    stored = Event.objects.for_account(account.account_id).get(event_id=draft.event_id)
    for name, value in draft.facts().items():
        assert getattr(stored, name) == (list(value) if isinstance(value, tuple) else value), name
    assert stored.end_time == NOON
    assert stored.insert_time is not None


def test_many_events_cost_one_statement() -> None:
    account = make_account()
    vectors = unit_vectors(40, 16)
    records = [
        EventRecord(
            EventDraft(create_time=NOON),
            (Descriptor(1, vectors[2 * each], 0.9), Descriptor(2, vectors[2 * each + 1])),
        )
        for each in range(20)
    ]
    with CaptureQueriesContext(connection) as queries:
        events_create(account_id=account.account_id, records=records)
    assert len(queries) == 1
    events = Event.objects.for_account(account.account_id).in_bulk(field_name="event_id")
    assert set(events) == {record.draft.event_id for record in records}
    for record in records:
        event = events[record.draft.event_id]
        for row, data in zip(event.descriptors.order_by("version"), record.descriptors, strict=True):
            assert (row.version, row.score) == (data.version, data.score)
            np.testing.assert_array_equal(np.array(row.vector, np.float32), data.vector)


def test_nothing_is_stored_of_nothing() -> None:
    events_create(account_id=make_account().account_id, records=[])
    assert Event.objects.unscoped().count() == 0


def test_a_taken_id_is_refused_and_nothing_is_stored() -> None:
    account = make_account()
    draft = EventDraft(create_time=NOON)
    events_create(account_id=account.account_id, records=[EventRecord(draft)])
    records = [EventRecord(EventDraft(create_time=NOON)), EventRecord(draft)]
    with pytest.raises(LunaError) as raised, transaction.atomic():
        events_create(account_id=account.account_id, records=records)
    assert raised.value.code == 23003
    assert str(draft.event_id) in raised.value.detail
    assert Event.objects.unscoped().count() == 1
    assert EventDescriptor.objects.count() == 0


def test_many_events_are_copied_as_drafted() -> None:
    account = make_account()
    draft = EventDraft(
        create_time=NOON,
        source="gate",
        tags=("vip", "known"),
        meta={"a": [1, None, "ä"]},
        attach_result=(uuid4(),),
        upper_clothing_colors=(1, 2),
        match_result=({"label": "vip", "candidates": []},),
        longitude=36.6,
        age=70,
    )
    vectors = unit_vectors(COPY_MIN, 16)
    records = [EventRecord(draft, (Descriptor(1, vectors[0], None),))]
    records += [EventRecord(EventDraft(create_time=NOON), (Descriptor(2, each, 0.5),)) for each in vectors[1:]]
    events_create(account_id=account.account_id, records=records)
    stored = Event.objects.for_account(account.account_id).in_bulk(field_name="event_id")
    assert set(stored) == {record.draft.event_id for record in records}
    for name, value in draft.facts().items():
        assert getattr(stored[draft.event_id], name) == (list(value) if isinstance(value, tuple) else value), name
    rows = EventDescriptor.objects.select_related("event").order_by("event_id")
    assert [(row.version, row.score) for row in rows] == [(1, None), *[(2, 0.5)] * (COPY_MIN - 1)]
    for row, vector in zip(rows, vectors, strict=True):
        np.testing.assert_array_equal(np.array(row.vector, np.float32), vector)


def test_a_taken_id_among_many_is_refused() -> None:
    account = make_account()
    taken = EventDraft(create_time=NOON)
    events_create(account_id=account.account_id, records=[EventRecord(taken)])
    records = [*(EventRecord(EventDraft(create_time=NOON)) for _ in range(COPY_MIN)), EventRecord(taken)]
    with pytest.raises(LunaError) as raised, transaction.atomic():
        events_create(account_id=account.account_id, records=records)
    assert raised.value.code == 23003
    assert Event.objects.unscoped().count() == 1


def test_a_given_id_is_compared_with_all_partitions() -> None:
    account = make_account()
    draft = EventDraft(create_time=NOON)
    events_create(account_id=account.account_id, records=[EventRecord(draft)])
    first = partitions_of("events_event")[0]
    with connection.cursor() as cursor:  # as if the first event were stored long ago
        cursor.execute("UPDATE events_event SET id = events_key(now() + interval '60 days')")
    assert first.high is not None
    assert Event.objects.unscoped().get().pk >= first.high
    for records in ([EventRecord(draft)], [EventRecord(EventDraft(create_time=NOON, event_id=uuid4()))] * 2):
        with pytest.raises(LunaError) as raised, transaction.atomic():
            events_create(account_id=account.account_id, records=records, given_ids=True)
        assert raised.value.code == 23003
    events_create(account_id=account.account_id, records=[EventRecord(EventDraft(create_time=NOON))], given_ids=True)
    assert Event.objects.unscoped().count() == 2


@pytest.mark.django_db(transaction=True)
def test_saving_is_limited_until_its_transaction_ends() -> None:
    account = make_account()

    def save(begun: bool) -> None:
        with transaction.atomic():
            if begun:
                Event.objects.unscoped().exists()
            events_create(account_id=account.account_id, records=[EventRecord(EventDraft(create_time=NOON))])

    other = connection.copy()
    try:
        with other.cursor() as locking:
            for begun in (False, True):
                locking.execute("BEGIN; LOCK TABLE events_event IN SHARE MODE")
                with pytest.raises(LunaError) as raised, override_config(EventsStorage, save_events_timeout=0.1):
                    save(begun)
                assert raised.value.code == 23006
                locking.execute("ROLLBACK")
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.15)")
                assert Event.objects.unscoped().count() == begun
                save(begun)
    finally:
        other.close()
    assert Event.objects.unscoped().count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_an_operational_error() -> None:
    account = make_account()

    def save() -> None:
        with transaction.atomic():
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
            events_create(account_id=account.account_id, records=[EventRecord(EventDraft(create_time=NOON))])

    other = connection.copy()
    try:
        with pytest.raises(OperationalError):
            save()
    finally:
        other.close()
    connection.close()
    assert Event.objects.unscoped().count() == 0
