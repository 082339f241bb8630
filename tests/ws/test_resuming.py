"""Websockets that continue after the last event that their client received."""

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Timer
from uuid import UUID, uuid4

import pytest
import redis
from django.db import connection
from django.db.models import QuerySet
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from apps.common.descriptors import Descriptor
from apps.common.times import utc_now
from apps.events import saving
from apps.events.models import Event
from apps.events.partitions import key_at
from apps.events.services import events_create
from apps.events.types import EventDraft, EventRecord
from apps.sender import hub
from apps.sender import publisher as publishing
from apps.sender.config import Sender
from apps.sender.publisher import publisher
from apps.sender.services import event_publish
from tests.factories import unit_vectors
from tests.ws.helpers import Listen, User, received_id
from tests.ws.test_handshake import refusal


def store(user: User, **columns: object) -> EventDraft:
    draft = EventDraft(create_time=utc_now(), notified=True, **columns)  # type: ignore[arg-type]
    descriptor = Descriptor(1, unit_vectors(1, 16)[0])
    events_create(account_id=user.account_id, records=[EventRecord(draft, [descriptor])])
    return draft


def publish(user: User, draft: EventDraft) -> None:
    message = {"event": {"event_id": str(draft.event_id)}, "handler_id": None}
    event_publish(account_id=user.account_id, facts=draft.facts(), message=message)
    publisher().drain(5)


def save(user: User, **columns: object) -> str:
    draft = store(user, **columns)
    publish(user, draft)
    return str(draft.event_id)


def received(client: ClientConnection, count: int) -> list[str]:
    found = [received_id(client) for _ in range(count)]
    with pytest.raises(TimeoutError):
        client.recv(timeout=0.2)
    return found


def test_missed_events_arrive_in_order_before_later_ones(listen: Listen, user: User, stranger: User) -> None:
    client = listen(user.basic)
    first = save(user)
    assert received_id(client) == first
    client.close()
    missed = [save(user) for _ in range(3)]
    save(stranger)
    resumed = listen(user.basic, f"last_event_id={first}")
    later = save(user)
    assert received(resumed, 4) == [*missed, later]
    by_header = listen({**user.basic, "Last-Event-ID": missed[0]})
    assert received(by_header, 3) == [*missed[1:], later]


def test_concurrent_saves_are_neither_lost_nor_repeated(listen: Listen, user: User) -> None:
    """`early` gets its key first and is notified last; the client has received `late` only."""
    before, early, late, lost = (store(user) for _ in range(4))
    publish(user, before)
    publish(user, late)
    publish(user, early)  # `lost`: the process ended before its notification
    client = listen(user.basic, f"last_event_id={late.event_id}")
    assert set(received(client, 2)) == {str(early.event_id), str(lost.event_id)}
    client = listen(user.basic, f"last_event_id={early.event_id}")
    assert received(client, 1) == [str(lost.event_id)]


def test_an_event_that_is_stored_and_notified_late_arrives_once(listen: Listen, user: User) -> None:
    first, slow = save(user), store(user)
    client = listen(user.basic, f"last_event_id={first}")
    publish(user, slow)
    assert received(client, 1) == [str(slow.event_id)]


def test_events_without_notification_and_refused_ones_are_not_sent(listen: Listen, user: User) -> None:
    first = save(user, source="gate")
    events_create(account_id=user.account_id, records=[EventRecord(EventDraft(create_time=utc_now(), source="gate"))])
    save(user, source="yard")
    wanted = save(user, source="gate")
    assert received(listen(user.basic, f"sources=gate&last_event_id={first}"), 1) == [wanted]


def test_without_the_order_in_redis_storage_decides(listen: Listen, user: User, redis_client: redis.Redis) -> None:
    first = store(user)
    old = key_at(utc_now() - timedelta(seconds=30))
    Event.objects.unscoped().filter(event_id=first.event_id).update(id=old)
    missed = [str(store(user).event_id) for _ in range(3)]
    redis_client.delete(f"luna:sent:{user.account_id}")
    assert received(listen(user.basic, f"last_event_id={first.event_id}"), 3) == missed


def test_an_event_that_was_not_stored_is_a_place_to_continue(listen: Listen, user: User) -> None:
    unstored = user.publish()
    publisher().drain(5)
    missed = save(user)
    assert received(listen(user.basic, f"last_event_id={unstored}"), 1) == [missed]


def test_a_stored_message_has_the_members_of_a_live_one(listen: Listen, user: User) -> None:
    sample_id, rect = str(uuid4()), {"x": 1, "y": 2, "width": 3, "height": 4}
    found = {
        "sample_id": sample_id, "detection": {"rect": rect}, "detect_time": None, "detect_ts": 1.5, "image_origin": None
    }  # fmt: skip
    first = save(user)
    columns = {"age": 30, "gender": 1, "ethnic_group": 4, "source": "gate", "tags": ("vip",)}
    draft = store(user, face_detections=[found], handler_id=uuid4(), **columns)
    message = json.loads(listen(user.basic, f"last_event_id={first}").recv(timeout=10))
    assert message["handler_id"] == str(draft.handler_id)
    assert message["event_create_time"] == message["event-create-time"] is not None
    event = message["event"]
    assert event["url"] == f"/6/events/{draft.event_id}"
    assert (event["tags"], event["source"], event["face"], event["top_match"]) == (["vip"], "gate", None, None)
    assert event["face_attributes"]["samples"] == [sample_id]
    assert event["face_attributes"]["basic_attributes"] == {
        "age": 30, "gender": 1, "ethnicities": {"predominant_ethnicity": "caucasian", "estimations": {}}
    }  # fmt: skip
    (detection,) = event["detections"]
    assert detection["samples"]["body"] is None
    assert detection["samples"]["face"]["url"] == f"/6/samples/faces/{sample_id}"
    assert detection["samples"]["face"]["detection"]["rect"] == rect
    assert detection["detect_ts"] == 1.5


def test_unknown_foreign_and_old_ids_are_refused(
    listen: Listen, user: User, stranger: User, configure: Callable[..., None]
) -> None:
    theirs, mine = save(stranger), save(user)
    unknown = uuid4()
    answers = [refusal(listen, user.basic, f"last_event_id={each}") for each in (unknown, theirs)]
    assert [(status, body["error_code"]) for status, body in answers] == [(404, 23001)] * 2
    assert answers[0][1]["detail"].replace(str(unknown), theirs) == answers[1][1]["detail"]
    assert refusal(listen, user.basic, "last_event_id=7")[1]["error_code"] == 12012

    configure(Sender, resume_events=1)
    save(user)
    listen(user.basic, f"last_event_id={mine}").close()
    save(user)
    status, body = refusal(listen, user.basic, f"last_event_id={mine}")
    assert (status, body["error_code"]) == (400, 12012)
    assert "more than 1 events" in body["detail"]
    configure(Sender, resume_s=0)
    assert "older than" in refusal(listen, user.basic, f"last_event_id={mine}")[1]["detail"]


def test_erased_events_are_not_sent_again(listen: Listen, user: User) -> None:
    first, erased, kept = save(user), save(user), save(user)
    Event.objects.unscoped().filter(event_id=UUID(erased)).update(notified=False)  # as an erasure does
    assert received(listen(user.basic, f"last_event_id={first}"), 1) == [kept]


def test_websockets_are_closed_when_redis_was_away(
    listen: Listen, user: User, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live listeners would miss events silently. They continue where they were."""
    monkeypatch.setattr(hub, "PROBE_S", 0.1)
    monkeypatch.setattr(hub, "PROBE_TIMEOUT_S", 0.3)
    client = listen(user.basic)
    first = save(user)
    assert received_id(client) == first
    redis_client.client_kill_filter(_type="pubsub")
    missed = save(user)
    with pytest.raises(ConnectionClosed) as closed:
        any(client.recv(timeout=10) is None for _ in range(3))  # the event may arrive before
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason[:5]) == (4000, "Redis")
    assert received(listen(user.basic, f"last_event_id={first}"), 1) == [missed]


def test_a_notification_after_lost_ones_closes_websockets(
    listen: Listen, user: User, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage the channel layer subscribes again before a probe shows the outage."""
    monkeypatch.setattr(hub, "PROBE_S", 60)
    client = listen(user.basic)
    first = save(user)
    assert received_id(client) == first
    redis_client.delete(f"luna:sent:{user.account_id}")  # as a restart does
    lost = store(user)
    redis_client.zadd(f"luna:sent:{user.account_id}", {lost.event_id.bytes: time.time() * 1e6})
    later = save(user)
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason[:21]) == (4000, "notifications were lo")
    resumed = listen(user.basic, f"last_event_id={first}")
    live = save(user)
    assert received(resumed, 3) == [str(lost.event_id), later, live]
    redis_client.delete(f"luna:sent:{user.account_id}")
    save(user)
    with pytest.raises(ConnectionClosed):
        resumed.recv(timeout=10)


@pytest.mark.parametrize("heard", [True, False], ids=["after an event", "before the first event"])
def test_lost_notifications_are_noticed_although_no_other_follows(
    listen: Listen, user: User, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    """Redis was away for less than the time between two probes."""
    monkeypatch.setattr(hub, "PROBE_S", 0.2)
    first = save(user)
    client = listen(user.basic)
    if heard:
        first = save(user)
        assert received_id(client) == first
    lost = store(user)
    redis_client.zadd(f"luna:sent:{user.account_id}", {lost.event_id.bytes: time.time() * 1e6})
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason[:21]) == (4000, "notifications were lo")
    assert received(listen(user.basic, f"last_event_id={first}"), 1) == [str(lost.event_id)]


def test_dropped_notifications_close_websockets(listen: Listen, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client, first = listen(user.basic), save(user)
    assert received_id(client) == first
    dropped = store(user)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "PENDING_BYTES", 1)
        publish(user, dropped)
    later = save(user)
    with pytest.raises(ConnectionClosed) as closed:
        any(client.recv(timeout=10) is None for _ in range(2))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000
    assert received(listen(user.basic, f"last_event_id={first}"), 2) == [str(dropped.event_id), later]


def test_repeated_unstored_and_expired_notifications_close_nothing(
    listen: Listen, user: User, redis_client: redis.Redis, configure: Callable[..., None]
) -> None:
    client = listen(user.basic)
    first, second = store(user), store(user)
    for draft in (first, second, first):
        publish(user, draft)
    unstored = user.publish()
    third = save(user)
    ids = [str(first.event_id), str(second.event_id)]
    assert received(client, 5) == [*ids, ids[0], unstored, third]
    configure(Sender, resume_s=0)
    redis_client.delete(f"luna:sent:{user.account_id}")
    fourth = save(user)
    configure(Sender, resume_events=0)
    others = [save(user) for _ in range(2)]
    assert received(client, 3) == [fourth, *others]


def test_events_that_are_stored_late_or_sent_late_are_missed(listen: Listen, user: User) -> None:
    """Events of queues are stored after an outage of the database, and sent after a crash, minutes later."""
    recovered, first, stored_before, missed = (store(user) for _ in range(4))
    now = utc_now()
    ages = {recovered: 600, stored_before: 300}
    for draft, age_s in ages.items():
        _own(draft).update(id=key_at(now - timedelta(seconds=age_s)))
    publish(user, first)
    for draft in (recovered, stored_before, missed):
        publish(user, draft)
    expected = [str(each.event_id) for each in (recovered, stored_before, missed)]
    assert received(listen(user.basic, f"last_event_id={first.event_id}"), 3) == expected
    _own(first).update(id=key_at(now + timedelta(seconds=600)))  # the queue of its process was stored last
    assert received(listen(user.basic, f"last_event_id={first.event_id}"), 3) == expected


def _own(draft: EventDraft) -> QuerySet[Event]:
    return Event.objects.unscoped().filter(event_id=draft.event_id)


def test_events_that_are_stored_after_a_crash_are_notified(
    listen: Listen, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ended before it could store them, and perhaps before it could notify."""
    client = listen(user.basic)
    record = EventRecord(EventDraft(create_time=utc_now(), notified=True))
    monkeypatch.setattr(saving, "spool_files", lambda: iter([(Path(os.devnull), [(user.account_id, record)])]))
    monkeypatch.setattr(Path, "unlink", lambda self: None)
    assert saving.spool_recover() == 1
    assert received_id(client) == str(record.draft.event_id)


def test_a_resume_waits_for_events_that_are_stored_after_the_answer(listen: Listen, user: User) -> None:
    first = save(user)
    slow = EventDraft(create_time=utc_now(), notified=True)
    publish(user, slow)
    storing = Timer(0.3, lambda: _stored_by_thread(user, slow))
    storing.start()
    client = listen(user.basic, f"last_event_id={first}")
    storing.join()
    assert received(client, 1) == [str(slow.event_id)]


def _stored_by_thread(user: User, draft: EventDraft) -> None:
    try:
        events_create(account_id=user.account_id, records=[EventRecord(draft)])
    finally:
        connection.close()
