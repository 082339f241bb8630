"""Thin tables follow their sources within the transactions of the writers, and serve what the wide tables serve."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, Vector, versions
from apps.common.filters.conditions import AREA
from apps.common.filters.meta import META
from apps.common.holdings import Trace
from apps.common.scope import Scope
from apps.common.thin import ThinTable
from apps.events.models import Event, EventDescriptor, ThinEvent
from apps.events.selectors import events_nearest
from apps.events.thin import THIN_EVENTS, thin_events_cover, thin_events_nearest
from apps.faces.models import Face, FaceDescriptor, ThinFace
from apps.faces.nearest import faces_nearest
from apps.faces.services import face_attribute_set, face_create, face_delete, face_update, list_create
from apps.faces.thin import THIN_FACES, thin_faces_cover, thin_faces_nearest
from apps.faces.types import AttributeData, FaceDraft
from apps.matching.plugins.contract import SubRequest
from apps.matching.plugins.loading import MATCHING_PLUGINS
from apps.matching.plugins.router import Router
from apps.matching.plugins.runner import Runner
from apps.matching.types import EventCandidates
from apps.privacy.erasure import account_erase, person_erase
from tests.factories import NOON, make_account, make_event, make_version, unit_vectors

VERSION, OTHER, DIMENSION, OBJECTS = 9751, 9752, 16, 40
pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    make_version(VERSION, DIMENSION)
    make_version(OTHER, DIMENSION)
    return make_account()


@pytest.fixture
def vectors() -> Vector:
    return unit_vectors(OBJECTS, DIMENSION)


def add_event(account: Account, place: int, vectors: Vector) -> Event:
    return make_event(
        account,
        Descriptor(VERSION, vectors[place]),
        Descriptor(OTHER, -vectors[place]),
        create_time=NOON + timedelta(minutes=place),
        source=None if place % 5 == 0 else f"camera {place % 5}",
        tags=[f"tag {place % 3}"],
        gender=place % 2,
        age=place,
        external_id=f"person {place}",
    )


def add_face(account: Account, vector: Vector, **members: object) -> Face:
    draft = FaceDraft(attribute=AttributeData((Descriptor(VERSION, vector),)), **members)  # type: ignore[arg-type]
    return face_create(account_id=account.account_id, draft=draft)


def build(table: ThinTable) -> int:
    return sum(table.build())


def differences(table: ThinTable) -> list[tuple[object, ...]]:
    """Rows of the thin table that its sources do not give, and rows that it lacks."""
    own = ", ".join(table.columns)
    thin = f"SELECT {table.key}, version, vector::text, {own} FROM {table.thin}"  # noqa: S608
    objects = ", ".join(f"o.{each}" for each in table.columns)
    sources = f"{table.source.table} d JOIN {table.objects} o ON o.id = d.{table.source.owner}"
    wide = f"SELECT o.id, d.version, d.vector::text, {objects} FROM {sources}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"({thin} EXCEPT {wide}) UNION ALL ({wide} EXCEPT {thin})")
        return cursor.fetchall()


def test_events_are_copied_and_followed(account: Account, vectors: Vector) -> None:
    events = [add_event(account, place, vectors) for place in range(OBJECTS // 2)]
    assert not ThinEvent.objects.unscoped().exists()  # a table that is not built costs nothing
    assert build(THIN_EVENTS) == OBJECTS
    assert THIN_EVENTS.is_complete()
    events += [add_event(account, place, vectors) for place in range(OBJECTS // 2, OBJECTS)]
    assert ThinEvent.objects.unscoped().count() == 2 * OBJECTS
    assert not differences(THIN_EVENTS)

    EventDescriptor.objects.filter(event=events[0], version=VERSION).update(vector=vectors[1])
    EventDescriptor.objects.filter(event=events[1]).delete()
    EventDescriptor.objects.filter(event=events[5], version=VERSION).update(version=VERSION + 7)
    EventDescriptor.objects.create(event=events[1], version=OTHER, vector=vectors[2])
    Event.objects.unscoped().filter(pk=events[2].pk).update(source="another", age=None, tags=["x" * 36] * 200)
    events[3].delete()
    assert not differences(THIN_EVENTS)
    with transaction.atomic():
        Event.objects.unscoped().filter(pk=events[4].pk).delete()
        transaction.set_rollback(True)
    assert ThinEvent.objects.unscoped().filter(event_key=events[4].pk).count() == 2
    assert not differences(THIN_EVENTS)


def test_faces_are_copied_and_followed(account: Account, vectors: Vector) -> None:
    faces = [add_face(account, vector, user_data="old") for vector in vectors[:6]]
    assert build(THIN_FACES) == 6
    account_id = account.account_id
    faces.append(add_face(account, vectors[6], external_id="later", event_id=uuid4()))
    face_update(account_id=account_id, face_id=faces[0].face_id, changes={"user_data": "new"})
    moved = AttributeData((Descriptor(VERSION, -vectors[1]),))
    face_attribute_set(account_id=account_id, face_id=faces[1].face_id, attribute=moved)
    face_delete(account_id=account_id, face_id=faces[2].face_id)
    assert ThinFace.objects.unscoped().count() == 6
    assert ThinFace.objects.unscoped().filter(user_data="new").count() == 1
    assert not differences(THIN_FACES)


def test_erasures_reach_the_copies(account: Account, vectors: Vector) -> None:
    build(THIN_EVENTS)
    build(THIN_FACES)
    other = make_account()
    for place in range(4):
        add_event(account, place, vectors)
        add_event(other, place, vectors)
        add_face(account, vectors[place], external_id=f"person {place}")
        add_face(other, vectors[place])
    person_erase(trace=Trace(external_id="person 1", account_id=account.account_id), dry_run=False)
    assert not ThinEvent.objects.for_account(account.account_id).filter(external_id="person 1").exists()
    assert (ThinEvent.objects.unscoped().count(), ThinFace.objects.unscoped().count()) == (14, 7)
    assert account_erase(account=account, dry_run=False) is not None
    assert set(ThinEvent.objects.unscoped().values_list("account_id", flat=True)) == {other.account_id}
    assert set(ThinFace.objects.unscoped().values_list("account_id", flat=True)) == {other.account_id}
    assert not differences(THIN_EVENTS) + differences(THIN_FACES)


FILTERS = {
    "event_ids": st.just(None),
    "create_time__gte": st.integers(0, OBJECTS).map(lambda place: NOON + timedelta(minutes=place)),
    "create_time__lt": st.integers(0, OBJECTS).map(lambda place: NOON + timedelta(minutes=place)),
    "sources": st.lists(st.sampled_from(["camera 1", "camera 2", "elsewhere"]), min_size=1, max_size=2),
    "tags": st.lists(st.sampled_from(["tag 0", "tag 1", "none"]), min_size=1, max_size=2),
    "gender": st.sampled_from([[0], [1], [0, 1]]),
    "age__gte": st.integers(0, OBJECTS),
    "age__lt": st.integers(0, OBJECTS),
    "external_ids": st.lists(st.integers(0, OBJECTS).map(lambda place: f"person {place}"), min_size=1, max_size=5),
}


def test_events_are_found_as_in_the_wide_tables(account: Account, vectors: Vector) -> None:
    vectors[1::4] = vectors[::4]  # equal cosines
    events = [add_event(account, place, vectors) for place in range(OBJECTS)]
    add_event(make_account(), 0, vectors)
    build(THIN_EVENTS)
    ids = [event.event_id for event in events]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        names = data.draw(st.sets(st.sampled_from(sorted(FILTERS)), min_size=1))
        filters: dict[str, Any] = {name: data.draw(FILTERS[name]) for name in names}
        if "event_ids" in filters:
            filters["event_ids"] = data.draw(st.lists(st.sampled_from(ids), max_size=10))
        assert thin_events_cover(filters)
        scope = data.draw(st.sampled_from([Scope(account.account_id), Scope(None), Scope(uuid4())]))
        number = data.draw(st.sampled_from([VERSION, OTHER]))
        arguments = {"scope": scope, "filters": filters, "version": versions.get(number)}
        vector, limit = vectors[data.draw(st.integers(0, 9))], data.draw(st.sampled_from([1, 2, 5, 100]))
        expected = events_nearest(**arguments, vector=vector, limit=limit)  # type: ignore[arg-type]
        assert thin_events_nearest(**arguments, vector=vector, limit=limit) == expected  # type: ignore[arg-type]

    check()


def test_faces_are_found_as_in_the_wide_tables(account: Account, vectors: Vector) -> None:
    account_id = account.account_id
    row, foreign = list_create(account_id=account_id), list_create(account_id=make_account().account_id)
    faces = [
        add_face(account, vector, lists=[row.list_id] if place % 2 else [], user_data=f"{place % 3}")
        for place, vector in enumerate(vectors)
    ]
    build(THIN_FACES)
    every: list[dict[str, Any]] = [
        {"list_id": row.list_id, "user_data": "1"},
        {"list_id": foreign.list_id, "user_data": "1"},
        {"user_data": "2"},
        {"face_ids": [face.face_id for face in faces[:9]], "list_id": row.list_id},
        {"face_ids": []},
        {"create_time__lt": faces[7].create_time, "face_id__gte": faces[3].face_id},
    ]
    for filters in every:
        assert thin_faces_cover(filters)
        for scope in (Scope(account_id), Scope(None), Scope(uuid4())):
            arguments = {"scope": scope, "filters": filters, "version": versions.get(VERSION)}
            expected = faces_nearest(**arguments, vector=vectors[3], limit=7)  # type: ignore[arg-type]
            assert thin_faces_nearest(**arguments, vector=vectors[3], limit=7) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "covered"),
    [
        ({}, False),
        ({"liveness": [1], "handler_ids": [uuid4()]}, True),
        ({"cities": ["Oslo"]}, False),
        ({"gender": [1], "apparent_age__gte": 3}, False),
        ({AREA.name: object()}, False),
        ({META.name: object()}, False),
    ],
)
def test_only_stored_columns_are_covered(filters: dict[str, object], covered: bool) -> None:
    assert thin_events_cover(filters) is covered


@pytest.fixture
def runner(account: Account, vectors: Vector) -> Iterator[Runner]:
    for place in range(5):
        add_event(account, place, vectors)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    plugin = MATCHING_PLUGINS.make("thin_event")
    plugin.refresh()
    plugin.initialize = lambda: None  # type: ignore[method-assign]  # it would not see this test's transaction
    runner = Runner("thin_event", plugin)
    yield runner
    runner.close()


def asked(runner: Runner, account: Account, vector: Vector) -> list[int]:
    candidates = EventCandidates(scope=Scope(account.account_id), filters={"gender": [0]})
    version = versions.get(VERSION)
    assert runner.cost(SubRequest(candidates, version, [vector], 3, -1.0)) < 100
    (hits,) = Router(runners=lambda: [runner]).search(candidates, version, [vector], 3, -1.0)
    expected = events_nearest(
        scope=candidates.scope, filters=candidates.filters, version=version, vector=vector, limit=3
    )
    assert [(hit.key, hit.cosine) for hit in hits] == expected
    return [hit.key for hit in hits]  # type: ignore[misc]


def test_the_plugin_serves_from_the_table(runner: Runner, account: Account, vectors: Vector) -> None:
    assert asked(runner, account, vectors[0])
    assert runner.answers == {"answered": 1}


def test_a_table_that_is_dropped_is_not_searched(
    runner: Runner, account: Account, vectors: Vector, caplog: pytest.LogCaptureFixture
) -> None:
    THIN_EVENTS.drop()
    assert asked(runner, account, vectors[0])
    assert runner.answers == {"failed": 1}
    assert "thin_tables build" in caplog.text


def test_rows_without_descriptor_are_noticed(
    runner: Runner, account: Account, vectors: Vector, caplog: pytest.LogCaptureFixture
) -> None:
    """A partition that is dropped, for example, fires no trigger."""
    found = asked(runner, account, vectors[0])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_eventdescriptor DISABLE TRIGGER events_thinevent_described")
        cursor.execute("DELETE FROM events_eventdescriptor WHERE event_id = %s", [found[0]])
    assert found[0] not in asked(runner, account, vectors[0])
    assert runner.answers == {"answered": 1, "failed": 1}
    assert "deleted descriptors" in caplog.text


def test_fsck_finds_and_mends_differences(account: Account, vectors: Vector) -> None:
    events = [add_event(account, place, vectors) for place in range(3)]
    assert not list(THIN_EVENTS.faults(False))
    build(THIN_EVENTS)
    ThinEvent.objects.unscoped().filter(event_key=events[0].pk).delete()
    gone = ThinEvent.objects.unscoped().filter(event_key=events[1].pk)
    gone.update(event_key=F("event_key") + 1000)
    faults = list(THIN_EVENTS.faults(False))
    assert [(fault.kind, fault.subject) for fault in faults] == [
        ("rows of deleted descriptors in the thin table", "2 of events"),
        ("descriptors that the thin table lacks", "4 of events"),
    ]
    for fault in faults:
        fault.mend()  # type: ignore[misc]
    assert not list(THIN_EVENTS.faults(False))
    assert not differences(THIN_EVENTS)


def test_a_plugin_without_table_is_not_used(account: Account) -> None:
    runner = Runner("thin_face", MATCHING_PLUGINS.make("thin_face"))
    assert not runner.ready(timeout_s=10)
    runner.close()


def test_the_command_builds_and_drops(account: Account, vectors: Vector, capsys: pytest.CaptureFixture[str]) -> None:
    add_event(account, 0, vectors)
    call_command("thin_tables", "build", "events")
    call_command("thin_tables", "status")
    assert capsys.readouterr().out.splitlines() == [
        "events: complete, 2 of 2 descriptors",
        "events: complete, 2 of 2 descriptors",
        "faces: not in use, 0 of 0 descriptors",
    ]
    with connection.cursor() as cursor:  # TRUNCATE needs that, within this test's transaction
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    call_command("thin_tables", "drop")
    assert not ThinEvent.objects.unscoped().exists()


@pytest.mark.django_db(transaction=True)
def test_writers_do_not_escape_while_the_table_is_built(
    account: Account, vectors: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deletions, replacements and new faces in other transactions, during every batch."""
    monkeypatch.setattr("apps.common.thin.BATCH_ROWS", 3)
    faces = [add_face(account, vector) for vector in vectors[:30]]
    stop = threading.Event()

    def write(seed: int) -> None:
        random = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                face = faces[seed + 2 * int(random.integers(15))]
                what = random.integers(3)
                if what == 0:
                    Face.objects.unscoped().filter(pk=face.pk).update(user_data=str(random.integers(99)))
                elif what == 1:
                    FaceDescriptor.objects.filter(face=face).delete()
                else:
                    FaceDescriptor.objects.update_or_create(
                        face=face, version=VERSION, defaults={"vector": vectors[int(random.integers(30))]}
                    )
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(5):
            THIN_FACES.drop()
            build(THIN_FACES)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not differences(THIN_FACES)
    THIN_FACES.drop()
