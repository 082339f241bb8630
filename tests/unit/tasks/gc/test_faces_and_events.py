"""Garbage collection of faces and events: samples, source images, accounts, kills."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from apps.accounts.models import Account, AuditRecord
from apps.common.config import AdditionalServices, OutgoingRequests
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.events.models import Event, EventDescriptor
from apps.faces.models import Face, FaceDescriptor, ListFace, ListUnlink
from apps.faces.services import faces_delete_passing, list_create, list_detach_faces
from apps.faces.types import AttributeData
from apps.imagestore.choices import Bucket
from apps.sender.models import Callback
from apps.tasks.types import gc
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.gc import TYPE
from tests.factories import NOON, make_account, make_callback, make_event, make_version
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.archive_tasks import sample
from tests.unit.tasks.gc.objects import (
    VECTOR,
    Configure,
    collect,
    deleted,
    events_left,
    faces_left,
    make_face,
    objects_left,
)

pytestmark = pytest.mark.django_db


def test_faces_of_the_filters_are_deleted_with_all_that_is_theirs(account: Account) -> None:
    make_version(7, 4)
    row = list_create(account_id=account.account_id)
    attribute = AttributeData(descriptors=(Descriptor(7, VECTOR, 1.0),), descriptor_samples=(sample(account),))
    face = make_face(account, user_data="old", lists=[row.list_id], attribute=attribute)
    make_face(account, user_data="new")
    make_face(make_account(), user_data="old")
    outcome = collect(account, filters={"user_data": "old"})
    assert outcome.result == {"removed": 1, "samples": 0, "image_origins": 0, "face_ids": [str(face.face_id)]}
    assert faces_left(account) == {"new"}
    assert Face.objects.unscoped().filter(user_data="old").count() == 1
    assert not FaceDescriptor.objects.exists()
    assert not ListFace.objects.exists()
    assert ListUnlink.objects.get().face_id == face.face_id
    assert deleted("face") == {str(face.face_id)}
    assert len(objects_left()) == 1  # samples are kept unless asked


def test_samples_go_with_faces_each_in_its_account(account: Account) -> None:
    basic, avatar, other = (sample(account) for _ in range(3))
    foreign = sample(make_account())
    make_version(7, 4)
    attribute = AttributeData(
        descriptors=(Descriptor(7, VECTOR, 1.0),), descriptor_samples=(basic, foreign), basic_samples=()
    )
    make_face(account, user_data="x", attribute=attribute, avatar=f"/6/samples/faces/{avatar}")
    outcome = collect(account, filters={"user_data": "x"}, remove_samples=True)
    assert outcome.result["samples"] == 2
    assert objects_left() == {other, foreign}
    assert deleted("face_sample") == {str(basic), str(avatar)}


def test_bounds_of_time_are_inclusive_below_and_exclusive_above(account: Account) -> None:
    for hour in range(3):
        make_face(account, user_data=str(hour), create_time=NOON + timedelta(hours=hour))
        make_event(account, user_data=str(hour), create_time=NOON + timedelta(hours=hour))
    bounds = {"create_time__gte": NOON.isoformat(), "create_time__lt": (NOON + timedelta(hours=2)).isoformat()}
    collect(account, filters=bounds)
    collect(account, target="events", filters=bounds)
    assert faces_left(account) == events_left(account) == {"2"}


def test_a_face_that_has_left_the_list_meanwhile_is_kept(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    row = list_create(account_id=account.account_id)
    make_face(account, user_data="stays listed", lists=[row.list_id])
    left = make_face(account, user_data="left", lists=[row.list_id])
    delete = faces_delete_passing

    def later(**arguments: Any) -> Any:
        list_detach_faces(account_id=account.account_id, list_id=row.list_id, face_ids=[left.face_id])
        return delete(**arguments)

    monkeypatch.setattr(gc, "faces_delete_passing", later)
    assert collect(account, filters={"list_id": str(row.list_id)}).result["removed"] == 1
    assert faces_left(account) == {"left"}


def test_events_go_with_descriptors_samples_and_callbacks(account: Account) -> None:
    make_version(7, 4)
    face, body, handler = sample(account), sample(account, Bucket.BODY_SAMPLES), uuid4()
    detections = {"face_detections": [{"sample_id": str(face)}], "body_detections": [{"sample_id": str(body)}]}
    event = make_event(account, Descriptor(7, VECTOR, 1.0), handler_id=handler, **detections)
    kept = make_event(account, Descriptor(7, VECTOR, 1.0), user_data="kept")
    waiting = {each: make_callback(account, object_id=each.event_id).pk for each in (event, kept)}
    outcome = collect(account, target="events", filters={"handler_id": str(handler)}, remove_samples=1)
    assert outcome.result == {"removed": 1, "samples": 2, "image_origins": 0, "event_ids": [str(event.event_id)]}
    assert events_left(account) == {"kept"}
    assert [*EventDescriptor.objects.values_list("event_id", flat=True)] == [kept.pk]
    assert [*Callback.objects.unscoped().values_list("pk", flat=True)] == [waiting[kept]]
    assert objects_left() == set()
    assert deleted("event") == {str(event.event_id)}
    (line,) = AuditRecord.objects.filter(action="delete", object_type="event")
    assert line.account_id == line.object_account_id == account.account_id


class Origins(BaseHTTPRequestHandler):
    """Notes the requests. Paths name the status of the answer."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def do_DELETE(self) -> None:
        self.asked.append((self.command, self.path))
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Location", "/200/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


@contextmanager
def origins() -> Iterator[str]:
    Origins.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Origins)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def with_origin(account: Account, origin: object, **columns: Any) -> Event:
    return make_event(account, face_detections=[{"sample_id": None, "image_origin": origin}], **columns)


def test_source_images_go_with_their_events(account: Account, configure: Configure) -> None:
    configure(OutgoingRequests, allow_private_urls=True)
    own, foreign = sample(account, Bucket.IMAGES), sample(make_account(), Bucket.IMAGES)
    with origins() as server:
        for origin in (
            f"/6/images/{own}", f"/6/images/{foreign}", f"{server}/204/a?key=1", f"{server}/204/a?key=1",
            f"{server}/404/gone", None, "ftp://host/file", 7,
        ):  # fmt: skip
            with_origin(account, origin)
        failing = {str(with_origin(account, f"{server}/{code}/b?key=2").event_id) for code in (500, 302, 403)}
        outcome = collect(account, target="events", remove_image_origins=1)
    assert (outcome.result["removed"], outcome.result["image_origins"]) == (11, 3)
    assert not Event.objects.unscoped().exists()
    assert objects_left() == {foreign}
    assert {each.info for each in outcome.errors} == failing
    assert {each.code for each in outcome.errors} == {12043}
    assert not any("key" in each.detail for each in outcome.errors)
    assert sorted(path for _, path in Origins.asked) == [
        "/204/a?key=1", "/302/b?key=2", "/403/b?key=2", "/404/gone", "/500/b?key=2",
    ]  # fmt: skip


def test_source_images_inside_the_network_are_not_asked(account: Account) -> None:
    with origins() as server:
        with_origin(account, f"{server}/204/secret")
        outcome = collect(account, target="events", remove_image_origins=1)
    assert Origins.asked == []
    assert [each.code for each in outcome.errors] == [12043]
    assert outcome.result["removed"] == 1


def test_accounts_delete_their_own_objects_and_operators_those_of_all(account: Account) -> None:
    other = make_account()
    for owner in (account, other):
        make_event(owner)
        make_face(owner, user_data="x")
    for content in ({"account_id": str(other.account_id)}, {"filters": {"account_id": str(other.account_id)}}):
        with pytest.raises(LunaError) as raised:
            collect(account, target="events", **content)
        assert raised.value.code == 11069
    assert collect(account, target="events").result["removed"] == 1  # the account is the filter
    assert events_left(other) == {""}
    assert collect(None, filters={"account_id": str(other.account_id), "user_data": "x"}).result["removed"] == 1
    assert faces_left(account) == {"x"}
    make_face(other, user_data="x")
    assert collect(None, filters={"user_data": "x"}).result["removed"] == 2


@pytest.mark.parametrize(
    ("mine", "content"), [(True, {}), (True, {"filters": {}}), (False, {}), (False, {"target": "events"})]
)
def test_a_filter_is_required(account: Account, mine: bool, content: dict[str, Any]) -> None:
    with pytest.raises(LunaError) as raised:
        collect(account if mine else None, **content)
    assert raised.value.code == 12027
    assert "filters" in raised.value.detail


def test_no_result_is_stored_if_none_is_wanted(account: Account) -> None:
    make_face(account, user_data="x")
    outcome = collect(account, filters={"user_data": "x"}, store_results=0)
    assert (outcome.result, outcome.content_type) == (None, None)
    assert faces_left(account) == set()


@pytest.mark.parametrize("target", ["faces", "events"])
def test_a_killed_worker_counts_and_deletes_each_object_once(
    account: Account, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    for name, value in (("PAGE", 2), ("SUBTASK_OBJECTS", 3)):
        monkeypatch.setattr(gc, name, value)
    wanted: set[str] = set()

    def run(places: Places) -> Outcome:
        wanted.clear()
        for _ in range(5):
            made = make_face(account) if target == "faces" else make_event(account)
            wanted.add(str(made.face_id if target == "faces" else made.event_id))
        content = {"target": target, "filters": {"create_time__lt": "2030-01-01T00:00:00Z"}}
        return run_task(TYPE, content, scope=Scope(account.account_id), places=places)

    undisturbed = run(Places())
    assert [part.parts for part in undisturbed.parts] == [3, 2]
    for _, outcome in runs_killed(run, checks_too=True):
        assert outcome.result["removed"] == 5
        assert set(outcome.result[f"{target[:-1]}_ids"]) == wanted
        assert len(outcome.result[f"{target[:-1]}_ids"]) == 5
    with pytest.raises(StageCancelled):
        run(Places(cancel_at=undisturbed.checks - 1))


def test_events_that_are_off_are_refused(account: Account, configure: Configure) -> None:
    configure(AdditionalServices, luna_events=False)
    with pytest.raises(LunaError) as raised:
        collect(account, target="events")
    assert raised.value.code == 28021


def test_without_the_image_store_samples_cannot_go_and_nothing_is_lost(account: Account, configure: Configure) -> None:
    configure(OutgoingRequests, allow_private_urls=True)
    configure(AdditionalServices, luna_image_store=False)
    own = sample(account, Bucket.IMAGES)
    with origins() as server:
        for origin in (f"/6/images/{own}", f"{server}/204/a"):
            with_origin(account, origin)
        with pytest.raises(LunaError) as raised:
            collect(account, target="events", remove_samples=1)
        assert raised.value.code == 11070
        assert Event.objects.unscoped().count() == 2
        outcome = collect(account, target="events", remove_image_origins=1)
    assert outcome.result["image_origins"] == 1
    assert objects_left() == {own}
