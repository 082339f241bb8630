"""Linker: which objects enter which list, once each, whatever kills the worker."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.accounts.models import Account, AuditRecord
from apps.common import errors
from apps.common.config import AdditionalServices, override_config
from apps.common.descriptors import Descriptor, DescriptorVersion
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.events.models import Event
from apps.faces import services
from apps.faces.models import Face, FaceAttribute, FaceDescriptor, List, ListFace
from apps.faces.services import face_create, faces_delete, list_create, list_delete
from apps.faces.types import AttributeData, FaceDraft
from apps.tasks.types import linker
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.linker import TYPE
from tests.factories import make_account, make_event, make_version, unit_vectors
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.contents import check_contents

DIMENSION, NUMBER, BODY = 16, 9721, 9722
SAMPLE = "9a1f1b0a-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def version() -> DescriptorVersion:
    make_version(BODY, DIMENSION, kind="body")
    return make_version(NUMBER, DIMENSION)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linker, "SUBTASK_OBJECTS", 4)
    monkeypatch.setattr(linker, "BATCH_FACES", 2)
    monkeypatch.setattr(linker, "BATCH_EVENTS", 2)


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


def faces(account: Account, count: int, **columns: Any) -> list[UUID]:
    rows = Face.objects.bulk_create([Face(account=account, **columns) for _ in range(count)])
    return [row.face_id for row in rows]


def events(account: Account, count: int, **columns: Any) -> list[Event]:
    return [
        make_event(account, Descriptor(NUMBER, vector, 0.8), source="gate", **columns)
        for vector in unit_vectors(count, DIMENSION)
    ]


def members(list_id: UUID) -> list[UUID]:
    rows = ListFace.objects.filter(list__list_id=list_id).order_by("link_key")
    return list(rows.values_list("face__face_id", flat=True))


def link_keys(list_id: UUID) -> tuple[list[int], int]:
    rows = ListFace.objects.filter(list__list_id=list_id).order_by("link_key")
    return list(rows.values_list("link_key", flat=True)), List.objects.unscoped().get(list_id=list_id).link_key


def run(account: Account | None, content: dict[str, Any], **options: Any) -> Outcome:
    scope = Scope(account.account_id if account else None)
    return run_task(TYPE, {"objects_type": "faces", **content}, scope=scope, **options)


def test_faces_of_filters_enter_a_list(account: Account) -> None:
    wanted = faces(account, 11, user_data="staff")
    faces(account, 3, user_data="guest")
    faces(make_account(), 3, user_data="staff")
    row = list_create(account_id=account.account_id)
    outcome = run(account, {"filters": {"user_data": "staff"}, "list_id": str(row.list_id)})
    assert members(row.list_id) == wanted
    assert outcome.result == {"list_id": str(row.list_id), "face_ids": [str(each) for each in wanted]}
    assert [part.parts for part in outcome.parts] == [4, 4, 3]
    assert outcome.errors == []
    assert run(account, {"list_id": str(row.list_id)}).result["face_ids"] != []
    assert len(members(row.list_id)) == 14
    assert link_keys(row.list_id) == (list(range(1, 15)), 14)


def test_a_new_list_has_its_user_data_and_one_audit_line(account: Account) -> None:
    wanted = faces(account, 2)
    outcome = run(account, {"create_list": 1, "user_data": "visitors"})
    row = List.objects.for_account(account.account_id).get()
    assert outcome.result["list_id"] == str(row.list_id)
    assert row.user_data == "visitors"
    assert members(row.list_id) == wanted
    assert AuditRecord.objects.filter(object_type="list", action="create").count() == 1


@pytest.mark.parametrize("create_list", [0, 1])
def test_a_named_list_that_does_not_exist_is_made(account: Account, create_list: int) -> None:
    wanted, list_id = faces(account, 2), uuid4()
    for _ in range(2):  # the second time it exists
        content = {"list_id": str(list_id), "create_list": create_list, "user_data": "new"}
        outcome = run(account, content)
        assert outcome.result == {"list_id": str(list_id), "face_ids": [str(each) for each in wanted]}
    assert List.objects.for_account(account.account_id).get().user_data == "new"
    assert members(list_id) == wanted


def test_no_object_passes(account: Account) -> None:
    outcome = run(account, {"filters": {"user_data": "nobody"}, "create_list": 1})
    assert outcome.result["face_ids"] == []
    assert List.objects.for_account(account.account_id).count() == 1


def test_objects_after_the_creation_of_the_task_are_left_out(account: Account) -> None:
    wanted = faces(account, 2)
    now = utc_now()
    later = faces(account, 2)
    assert run(account, {"create_list": 1}, create_time=now).result["face_ids"] == [str(each) for each in wanted]
    until = (now + timedelta(days=1)).isoformat()
    outcome = run(account, {"create_list": 1, "filters": {"create_time__lt": until}}, create_time=now)
    assert outcome.result["face_ids"] == [str(each) for each in wanted + later]


def test_relative_times_count_from_the_creation_of_the_task(account: Account) -> None:
    faces(account, 2)
    for age, count in ((1, 0), (3, 2)):
        create_time = utc_now() + timedelta(days=2)
        content = {"create_list": 1, "filters": {"create_time__gte": f"now-{age}d"}}
        assert len(run(account, content, create_time=create_time).result["face_ids"]) == count


def test_faces_are_made_of_events(account: Account) -> None:
    columns = {"age": 30, "gender": 1, "ethnic_group": 4, "external_id": "X1", "user_data": "Ada"}
    detections = [{"sample_id": SAMPLE}, {"sample_id": None}]
    found = events(account, 5, face_detections=detections, **columns)
    make_event(account, source="door")
    outcome = run(account, {"objects_type": "events", "filters": {"sources": ["gate"]}, "create_list": 1})
    list_id = UUID(outcome.result["list_id"])
    assert [str(each) for each in members(list_id)] == outcome.result["face_ids"]
    assert outcome.errors == []
    made = Face.objects.for_account(account.account_id).order_by("id")
    assert [face.event_id for face in made] == [event.event_id for event in found]
    for face, event in zip(made, found, strict=True):
        attribute = FaceAttribute.objects.get(face=face)
        assert (attribute.age, attribute.gender, attribute.ethnicity) == (30, 1, 4)
        assert attribute.descriptor_samples == attribute.basic_attributes_samples == [UUID(SAMPLE)]
        descriptor = FaceDescriptor.objects.get(face=face)
        assert (descriptor.version, descriptor.score) == (NUMBER, 0.8)
        assert list(descriptor.vector) == list(event.descriptors.get().vector)
        assert (face.external_id, face.user_data, face.avatar) == ("X1", "Ada", f"/6/samples/faces/{SAMPLE}")


def test_a_repeated_task_makes_no_second_face_of_an_event(account: Account) -> None:
    events(account, 3)
    content = {"objects_type": "events", "list_id": str(uuid4())}
    assert run(account, content).result == run(account, content).result
    assert Face.objects.for_account(account.account_id).count() == 3


def test_the_existing_face_of_an_event_is_linked_if_its_attribute_is_equal(account: Account) -> None:
    vectors = unit_vectors(3, DIMENSION)
    own = [
        face_create(
            account_id=account.account_id,
            draft=FaceDraft(attribute=AttributeData(descriptors=(Descriptor(NUMBER, vector),))),
        )
        for vector in (vectors[0], vectors[2])
    ]
    equal = make_event(account, Descriptor(NUMBER, vectors[0]), face_id=own[0].face_id)
    other = make_event(account, Descriptor(NUMBER, vectors[1]), face_id=own[1].face_id)
    gone = make_event(account, Descriptor(NUMBER, vectors[1]), face_id=uuid4())
    foreign = face_create(account_id=make_account().account_id, draft=FaceDraft())
    stranger = make_event(account, Descriptor(NUMBER, vectors[1]), face_id=foreign.face_id)
    outcome = run(account, {"objects_type": "events", "create_list": 1})
    assert [(each.code, each.info) for each in outcome.errors] == [(28009, str(other.event_id))]
    assert str(own[1].face_id) in outcome.errors[0].detail
    linked = [UUID(each) for each in outcome.result["face_ids"]]
    assert linked[0] == own[0].face_id
    rows = Face.objects.for_account(account.account_id).filter(face_id__in=linked[1:]).order_by("id")
    assert [face.event_id for face in rows] == [gone.event_id, stranger.event_id]
    assert equal.event_id not in Face.objects.for_account(account.account_id).values_list("event_id", flat=True)


def test_attributes_without_a_common_version_are_compared_by_samples(account: Account) -> None:
    old = make_version(9723, 8)
    detections = [{"sample_id": SAMPLE}]

    def face(*samples: str) -> Face:
        descriptors = (Descriptor(old.version, unit_vectors(1, 8)[0]),)
        attribute = AttributeData(descriptors=descriptors, descriptor_samples=tuple(UUID(each) for each in samples))
        return face_create(account_id=account.account_id, draft=FaceDraft(attribute=attribute))

    same, other = face(SAMPLE), face()
    vector = unit_vectors(1, DIMENSION)[0]
    make_event(account, Descriptor(NUMBER, vector), face_id=same.face_id, face_detections=detections)
    wrong = make_event(account, Descriptor(NUMBER, vector), face_id=other.face_id, face_detections=detections)
    outcome = run(account, {"objects_type": "events", "create_list": 1})
    assert outcome.result["face_ids"] == [str(same.face_id)]
    assert [(each.code, each.info) for each in outcome.errors] == [(28009, str(wrong.event_id))]


def test_an_event_with_a_body_only_makes_no_face(account: Account) -> None:
    event = make_event(account, Descriptor(BODY, unit_vectors(1, DIMENSION)[0]))
    outcome = run(account, {"objects_type": "events", "create_list": 1})
    assert [(each.code, each.info) for each in outcome.errors] == [(errors.EMPTY_ATTRIBUTE, str(event.event_id))]
    assert outcome.result["face_ids"] == []


@pytest.mark.parametrize("objects_type", ["faces", "events"])
def test_a_killed_worker_links_each_object_once(account: Account, objects_type: str) -> None:
    objects: Callable[[Account, int], Any] = faces if objects_type == "faces" else events
    objects(account, 5)
    content = {"objects_type": objects_type, "create_list": 1}
    killed = 0
    for _, outcome in runs_killed(lambda places: run(account, content, places=places)):
        killed += 1
        list_id = UUID(outcome.result["list_id"])
        assert [str(each) for each in members(list_id)] == outcome.result["face_ids"]
        assert len(outcome.result["face_ids"]) == len(set(outcome.result["face_ids"])) == 5
        assert link_keys(list_id) == (list(range(1, 6)), 5)
        if objects_type == "events":
            Face.objects.for_account(account.account_id).delete()
    assert killed == 6  # 3 checkpoints: before and after the commit


def test_a_kill_in_the_split_makes_one_list(account: Account) -> None:
    faces(account, 9)
    now = utc_now()
    for number, _ in runs_killed(
        lambda places: run(account, {"create_list": 1}, places=places, create_time=now), checks_too=True, step=3
    ):
        assert List.objects.for_account(account.account_id).count() == 1, number


def test_a_cancelled_task_stops_at_each_check(account: Account) -> None:
    faces(account, 9)
    checks = run(account, {"create_list": 1}).checks
    assert checks > 6
    for at in range(1, checks + 1):
        with pytest.raises(StageCancelled):
            run(account, {"create_list": 1}, places=Places(cancel_at=at))


def test_a_face_that_is_deleted_while_the_task_runs_is_skipped(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = faces(account, 6)
    attach = services.list_attach_keys

    def deleted_first(**arguments: Any) -> None:
        if Face.objects.for_account(account.account_id).filter(face_id=wanted[1]).exists():
            faces_delete(account_id=account.account_id, face_ids=[wanted[1]])
        attach(**arguments)

    monkeypatch.setattr(linker, "list_attach_keys", deleted_first)
    outcome = run(account, {"create_list": 1})
    assert members(UUID(outcome.result["list_id"])) == [wanted[0], *wanted[2:]]


@pytest.mark.parametrize("objects_type", ["faces", "events"])
def test_a_list_that_is_deleted_while_the_task_runs_ends_it(account: Account, objects_type: str) -> None:
    objects: Callable[[Account, int], Any] = faces if objects_type == "faces" else events
    objects(account, 6)
    row = list_create(account_id=account.account_id)

    class Deleting(Places):
        def place(self) -> None:
            super().place()
            if self.passed == 2:
                list_delete(account_id=account.account_id, list_id=row.list_id)

    with pytest.raises(LunaError) as caught:
        run(account, {"objects_type": objects_type, "list_id": str(row.list_id)}, places=Deleting())
    assert caught.value.code == 22003
    assert str(row.list_id) in caught.value.detail


def test_lists_and_accounts_of_others_are_refused(account: Account) -> None:
    stranger = make_account()
    row = list_create(account_id=stranger.account_id)
    own, foreign = str(account.account_id), str(stranger.account_id)
    for content, code in (
        ({"list_id": str(row.list_id)}, 22003),
        ({"list_id": str(row.list_id), "create_list": 1}, 22003),
        ({"create_list": 1, "account_id": foreign}, 11069),
        ({"create_list": 1, "filters": {"account_id": foreign}}, 11069),
    ):
        with pytest.raises(LunaError) as caught:
            run(account, content)
        assert caught.value.code == code
    assert not ListFace.objects.exists()
    faces(account, 1)
    faces(stranger, 2)
    content = {"create_list": 1, "account_id": own, "filters": {"account_id": own}}
    assert len(run(account, content).result["face_ids"]) == 1


def test_a_task_of_all_accounts_links_faces_of_the_lists_account(account: Account) -> None:
    wanted = faces(account, 2)
    faces(make_account(), 2)
    row = list_create(account_id=account.account_id)
    found = run(None, {"list_id": str(row.list_id)}).result["face_ids"]
    assert found == [str(each) for each in wanted]
    named = {"create_list": 1, "account_id": str(account.account_id)}
    assert run(None, named).result["face_ids"] == found
    for content in ({"create_list": 1}, {"list_id": str(uuid4())}):
        with pytest.raises(LunaError) as caught:
            run(None, content)
        assert caught.value.code == 12027
        assert "account_id" in caught.value.detail


def test_events_that_are_off(account: Account) -> None:
    with override_config(AdditionalServices, luna_events=False), pytest.raises(LunaError) as caught:
        run(account, {"objects_type": "events", "create_list": 1})
    assert caught.value.code == 28021


def test_contents() -> None:
    common = {"list_id": str(uuid4()), "create_list": 1, "user_data": "x", "account_id": str(uuid4())}
    times = {"create_time__gte": "now-1d", "create_time__lt": "2026-01-01T00:00:00Z"}
    of_faces = {"face_ids": [str(uuid4())], "list_id": str(uuid4()), "user_data": "x", **times}
    of_events = {"sources": ["gate"], "age__gte": 18, "emotions": [1], "meta.a.b__eq": "1", **times}
    for objects_type, filters in (("faces", of_faces), ("events", of_events)):
        assert check_contents(TYPE, {**common, "objects_type": objects_type, "filters": filters}) > 150


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"create_list": 0},
        {"create_list": 1, "user_data": "x" * 129},
        {"create_list": 2},
        {"create_list": 1, "filters": {"sources": ["gate"]}},
        {"create_list": 1, "objects_type": "lists"},
    ],
)
def test_invalid_contents(account: Account, content: dict[str, Any]) -> None:
    with pytest.raises(LunaError) as caught:
        run(account, content)
    assert caught.value.code == 12027
