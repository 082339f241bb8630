"""Stage write: all that was decided, or nothing of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
import pytest
import redis

from apps.accounts.models import Account
from apps.common import errors
from apps.common.descriptors import Descriptor, DescriptorVersion
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.events.config import EventsStorage
from apps.events.models import Event
from apps.faces.attributes import attribute_get
from apps.faces.models import Face
from apps.faces.types import AttributeData, FaceDraft
from apps.handlers.pipeline.stages.write import write
from apps.handlers.types import Decision, GeneratedEvent
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.types import NewObject
from apps.sender.models import Callback
from apps.sender.outbox import quota
from apps.sender.targets import Webhook
from tests.factories import make_account, make_version, stored_bytes
from tests.unit.handlers.pipeline.runs import make_event, make_person, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def version() -> DescriptorVersion:
    return make_version(9802, 2)


def descriptor(version: DescriptorVersion) -> Descriptor:
    return Descriptor(version.version, np.array([1, 0], np.float32), 0.9)


def event_of(version: DescriptorVersion, *lists: Any, **decision: Any) -> GeneratedEvent:
    found = descriptor(version)
    attribute = AttributeData(descriptors=(found,))
    return replace(
        make_event(make_person(), descriptor=found, source="door"),
        face=FaceDraft(face_id=uuid4(), lists=lists, attribute=attribute),
        decision=Decision(**{"store_event": True, "attribute": attribute, **decision}),
    )


def sample(account: Account) -> NewObject:
    return NewObject(account_id=account.account_id, bucket=Bucket.FACE_SAMPLES, data=b"jpeg", content_type="image/jpeg")


def test_events_faces_attributes_and_objects(account: Account, version: DescriptorVersion) -> None:
    event, item = event_of(version), sample(account)
    run = write(make_run(account_id=account.account_id, events=(event,), objects=(item,)))
    stored = Event.objects.for_account(account.account_id).get()
    assert (stored.event_id, stored.source, len(stored.face_detections)) == (event.draft.event_id, "door", 1)
    assert [row.version for row in stored.descriptors.all()] == [version.version]
    assert Face.objects.for_account(account.account_id).get().face_id == event.face.face_id
    scope = Scope(account.account_id)
    assert stored_bytes(scope=scope, bucket=item.bucket, object_id=item.object_id) == b"jpeg"
    (written,) = run.events
    assert written.attribute_id is not None
    assert attribute_get(scope=scope, attribute_id=written.attribute_id).data.descriptors[0].version == version.version


def test_only_what_was_decided(account: Account, redis_client: "redis.Redis", django_assert_num_queries: Any) -> None:
    event = make_event(make_person())
    with django_assert_num_queries(0):
        run = write(make_run(account_id=account.account_id, events=(event,)))
    assert run.events == (event,)
    assert redis_client.keys("luna:attribute:*") == []


def test_a_failure_leaves_nothing(account: Account, version: DescriptorVersion, redis_client: "redis.Redis") -> None:
    item = sample(account)
    with pytest.raises(LunaError) as caught:
        write(make_run(account_id=account.account_id, events=(event_of(version, uuid4()),), objects=(item,)))
    assert caught.value.code == errors.LISTS_NOT_FOUND
    assert not Event.objects.for_account(account.account_id).exists()
    assert not Face.objects.for_account(account.account_id).exists()
    assert not StoredObject.objects.for_account(account.account_id).exists()
    assert redis_client.keys("luna:attribute:*") == []
    with pytest.raises(LunaError):
        stored_bytes(scope=Scope(account.account_id), bucket=item.bucket, object_id=item.object_id)


HOOKS = (Webhook(url="http://a.test"), Webhook(url="http://b.test"))


def test_callbacks_of_stored_and_other_events_are_one_statement(
    account: Account, django_assert_num_queries: Any
) -> None:
    events = [
        replace(make_event(make_person()), decision=Decision(callbacks=HOOKS)),
        make_event(make_person()),
        replace(make_event(make_person()), decision=Decision(callbacks=HOOKS[:1])),
    ]
    run = make_run(account_id=account.account_id, events=tuple(events))
    quota().has_room(account.account_id, 1)  # its statement runs every few seconds
    with django_assert_num_queries(3):  # savepoint, insert, release
        written = write(run)
    rows = Callback.objects.for_account(account.account_id).order_by("id")
    ids = [event.draft.event_id for event in events]
    assert [(row.object_id, row.target["url"]) for row in rows] == [
        (ids[0], "http://a.test"), (ids[0], "http://b.test"), (ids[2], "http://a.test")
    ]  # fmt: skip
    assert written.events[0].message is not None
    assert orjson.loads(rows[0].payload)["event"] == written.events[0].message["event"]
    assert written.events[1].message is None


def test_a_failure_takes_the_callbacks_along(account: Account, version: DescriptorVersion) -> None:
    event = event_of(version, uuid4(), callbacks=HOOKS)  # the list does not exist
    with pytest.raises(LunaError):
        write(make_run(account_id=account.account_id, events=(event,)))
    assert not Callback.objects.unscoped().exists()


def test_events_without_waiting_are_queued_after_the_commit(
    account: Account, version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[Any] = []
    monkeypatch.setattr("apps.handlers.pipeline.stages.write.events_enqueue", lambda **given: queued.append(given))
    event = event_of(version, wait_saving=False)
    write(make_run(account_id=account.account_id, events=(event,)))
    assert not Event.objects.unscoped().exists()
    assert Face.objects.for_account(account.account_id).exists()
    (given,) = queued
    assert given["account_id"] == account.account_id
    assert [record.draft.event_id for record in given["records"]] == [event.draft.event_id]


def test_a_full_queue_stores_nothing(
    account: Account, version: DescriptorVersion, configure: Callable[..., None]
) -> None:
    configure(EventsStorage, save_queue_length=1)
    events = (event_of(version, wait_saving=False), event_of(version, wait_saving=False))
    with pytest.raises(LunaError) as raised:
        write(make_run(account_id=account.account_id, events=events))
    assert raised.value.code == 23008
    assert not Face.objects.for_account(account.account_id).exists()
