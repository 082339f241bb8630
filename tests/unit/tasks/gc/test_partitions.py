"""Whole partitions of events that garbage collection drops."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.events.models import Event, EventDescriptor
from apps.events.partitions import partitions_of
from apps.sender.models import Callback
from apps.tasks.types import gc
from apps.tasks.types.gc import TYPE
from tests.factories import NOON, make_account, make_callback, make_event, make_version
from tests.tasks_run import Outcome, Places, run_task
from tests.unit.tasks.gc.objects import VECTOR, collect, deleted, events_left

pytestmark = pytest.mark.django_db


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> None:
    """All partitions of today are those of the past. The test is one transaction, with its checks done."""
    later = utc_now() + timedelta(days=400)
    monkeypatch.setattr(gc, "utc_now", lambda: later)


def drop_partitions_of(run: Callable[[], Outcome]) -> tuple[Outcome, set[str]]:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    before = {each.name for each in partitions_of("events_event")}
    outcome = run()
    return outcome, before - {each.name for each in partitions_of("events_event")}


@pytest.mark.usefixtures("past")
def test_whole_partitions_are_dropped(account: Account) -> None:
    make_version(7, 4)
    event = make_event(account, Descriptor(7, VECTOR, 1.0))
    make_callback(account, object_id=event.event_id)
    content = {"target": "events", "filters": {"create_time__lt": "2030-01-01T00:00:00Z"}, "store_results": 0}
    outcome, dropped = drop_partitions_of(lambda: collect(None, **content))
    assert len(dropped) == 1
    assert deleted("events") == dropped
    assert outcome.checkpoints == [{"removed": 1}]
    assert not Event.objects.unscoped().exists()
    assert not EventDescriptor.objects.exists()
    assert not Callback.objects.unscoped().exists()


@pytest.mark.usefixtures("past")
def test_partitions_with_events_of_others_are_not_dropped(account: Account) -> None:
    other = make_account()
    make_event(account)
    make_event(other)
    _, dropped = drop_partitions_of(lambda: collect(account, target="events", store_results=0))
    assert dropped == set()
    assert (events_left(account), events_left(other)) == (set(), {""})


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("needs", ["store_results", "remove_samples", "remove_image_origins"])
def test_partitions_are_read_if_something_of_their_events_is_needed(account: Account, needs: str) -> None:
    make_event(account)
    content = {"store_results": 0, needs: 1}
    _, dropped = drop_partitions_of(lambda: collect(account, target="events", **content))
    assert dropped == set()
    assert events_left(account) == set()


@pytest.mark.usefixtures("past")
def test_an_event_that_arrives_after_the_split_saves_its_partition(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_event(account)
    process = TYPE.process

    def later(run: Any) -> Any:
        make_event(account, user_data="later", create_time=utc_now())
        return process(run)

    monkeypatch.setattr(TYPE, "process", later)
    content = {"target": "events", "filters": {"create_time__lt": NOON.isoformat()}}
    make_event(account, create_time=NOON - timedelta(days=1))
    Event.objects.unscoped().filter(create_time=NOON).delete()
    _, dropped = drop_partitions_of(lambda: collect(account, **content, store_results=0))
    assert dropped == set()
    assert "later" in events_left(account)
    assert not Event.objects.unscoped().filter(create_time__lt=NOON).exists()


@pytest.mark.usefixtures("past")
def test_a_worker_that_dies_around_the_drop_is_continued(account: Account) -> None:
    kills = 0
    for number in range(1, 20):
        places = Places(kill_at=number, checks_too=True)
        with transaction.atomic():
            make_event(account)
            content = {"target": "events", "store_results": 0}
            _, dropped = drop_partitions_of(
                partial(run_task, TYPE, content, scope=Scope(account.account_id), places=places)
            )
            assert len(dropped) == 1
            assert events_left(account) == set()
            transaction.set_rollback(True)  # the partition is that of today
        kills += places.killed
    assert kills > 2
