"""Estimator: events of files, exactly once, whatever dies; handlers, policies, errors of files."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image as Pillow

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.events.models import Event
from apps.handlers.choices import HandlerType
from apps.handlers.models import Handler
from apps.handlers.services import HandlerDraft, handler_create
from apps.imagestore.models import StoredObject
from apps.sender.models import Callback
from apps.tasks.config import Sources
from apps.tasks.models import Subtask, SubtaskOutput, Task
from apps.tasks.secrets import content_mask, content_open, content_seal
from apps.tasks.types import estimator
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.estimator import TYPE
from tests.api.handlers.helpers import astronaut
from tests.factories import make_account, principal_of_account
from tests.tasks_run import Outcome, Places, run_task, runs_killed

pytestmark = pytest.mark.django_db
Configure = Callable[..., None]

HOOK = {"type": "http", "url": "http://127.0.0.1:9/hook"}
POLICIES = {"storage_policy": {"callbacks": [HOOK]}}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures with a face, one without, a text, and an empty file."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "team").mkdir()
    face = io.BytesIO()
    Pillow.open(io.BytesIO(astronaut())).crop((120, 0, 360, 240)).save(face, "JPEG")
    for name in ("a.jpg", "c.jpg", "team/a.jpg", "team/b.jpg"):
        (folder / name).write_bytes(face.getvalue())
    Pillow.new("RGB", (64, 64)).save(folder / "b.png")
    (folder / "d.txt").write_text("no picture")
    (folder / "e.jpg").write_bytes(b"")
    return folder


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture(autouse=True)
def small(configure: Configure, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(Sources, disk_directories=(str(pictures),))
    monkeypatch.setattr(estimator, "BATCH_PICTURES", 2)


@pytest.fixture
def run(account: Account, pictures: Path) -> Callable[..., Outcome]:
    """Run a task of the pictures: `handler` of the content, members of its source, arguments of `run_task`."""
    now = utc_now()
    rows = Task.objects.unscoped()
    rows.create(task_id=1, account=account, task_type=TYPE.number, create_time=now, last_update_time=now)
    Subtask.objects.create(subtask_id=1, task_id=1, create_time=now)

    def run(handler: Any, source: Any = None, **arguments: Any) -> Outcome:
        place = {"source_type": "network_disk", "path": str(pictures), **(source or {})}
        return run_task(
            TYPE, {"source": place, "handler": handler}, scope=Scope(account.account_id), create_time=now, **arguments
        )

    return run


def make_handler(account: Account, kind: HandlerType = HandlerType.STATIC, policies: Any = None) -> str:
    draft = HandlerDraft(handler_type=kind, policies=policies)
    return str(handler_create(principal=principal_of_account(account), draft=draft).handler_id)


def events_of(account: Account) -> list[Event]:
    return list(Event.objects.for_account(account.account_id).order_by("id"))


def event_ids(outcome: Outcome) -> list[UUID]:
    return [UUID(event["event_id"]) for answer in outcome.result for event in answer["events"]]


NAMES = ["a.jpg", "b.png", "c.jpg", "team/a.jpg", "team/b.jpg"]
FAILED = [("d.txt", errors.BAD_IMAGE), ("e.jpg", errors.BAD_IMAGE)]


def test_answers_of_event_generation(run: Callable[..., Outcome], account: Account) -> None:
    handler_id = make_handler(account, policies=POLICIES)
    outcome = run({"handler_id": handler_id})
    assert [answer["images"][0]["filename"] for answer in outcome.result] == NAMES
    assert [len(answer["events"]) for answer in outcome.result] == [1, 0, 1, 1, 1]
    assert {*outcome.result[0]} == {"images", "events", "filtered_detections", "unavailable_estimations"}
    assert [(error.info, error.code) for error in outcome.errors] == FAILED
    stored = events_of(account)
    assert [event.event_id for event in stored] == event_ids(outcome)
    assert {str(event.handler_id) for event in stored} == {handler_id}
    assert Callback.objects.for_account(account.account_id).count() == 4
    assert outcome.progress[-1] == (7, 7)


def test_killed_anywhere_each_file_gives_its_events_once(run: Callable[..., Outcome], account: Account) -> None:
    handler_id = make_handler(account, policies=POLICIES)

    def once(places: Places) -> Outcome:
        for model in (Event, Callback):
            model.objects.for_account(account.account_id).delete()
        SubtaskOutput.objects.all().delete()
        return run({"handler_id": handler_id}, places=places)

    number = 0
    for number, outcome in runs_killed(once):
        assert [answer["images"][0]["filename"] for answer in outcome.result] == NAMES, number
        assert [(error.info, error.code) for error in outcome.errors] == FAILED, number
        assert [event.event_id for event in events_of(account)] == event_ids(outcome), number
        assert Callback.objects.for_account(account.account_id).count() == 4, number
    assert number == 2 * 5  # before and after the commit of four batches and of the end


def test_cancelled_at_any_check(run: Callable[..., Outcome], account: Account) -> None:
    handler_id = make_handler(account, policies=POLICIES)
    for number in (1, 3, 6):
        with pytest.raises(StageCancelled):
            run({"handler_id": handler_id}, places=Places(cancel_at=number))


class TestHandlers:
    one = {"prefix": "a"}

    def test_dynamic(self, run: Callable[..., Outcome], account: Account) -> None:
        handler_id = make_handler(account, HandlerType.DYNAMIC)
        outcome = run({"handler_id": handler_id, "policies": POLICIES}, self.one)
        assert len(event_ids(outcome)) == 1

    def test_policies_alone_make_a_static_handler(self, run: Callable[..., Outcome], account: Account) -> None:
        for _ in range(2):  # the same task, split twice
            run({"policies": POLICIES}, self.one)
        (handler,) = Handler.objects.for_account(account.account_id)
        assert (handler.handler_type, handler.description) == (HandlerType.STATIC, "task 1")
        assert {event.handler_id for event in events_of(account)} == {handler.handler_id}

    @pytest.mark.parametrize(
        ("kind", "policies", "code"),
        [
            (HandlerType.STATIC, {}, errors.DYNAMIC_HANDLER_REQUIRED),
            (HandlerType.DYNAMIC, None, errors.JSON_FIELD_NOT_FOUND),
        ],
    )
    def test_policies_that_do_not_fit(
        self, run: Callable[..., Outcome], account: Account, kind: HandlerType, policies: Any, code: int
    ) -> None:
        handler = {"handler_id": make_handler(account, kind, None if kind == HandlerType.DYNAMIC else POLICIES)}
        fails(code, run, handler if policies is None else {**handler, "policies": policies})

    def test_of_others(self, run: Callable[..., Outcome]) -> None:
        foreign = make_handler(make_account(AccountType.ADVANCED_USER), policies=POLICIES)
        for handler_id in (foreign, str(uuid4())):
            fails(errors.HANDLER_NOT_FOUND, run, {"handler_id": handler_id})

    def test_candidates_of_others(self, run: Callable[..., Outcome], account: Account) -> None:
        foreign = {"label": "x", "candidates": {"origin": "faces", "account_id": str(make_account().account_id)}}
        policies = {"match_policy": [foreign]}
        fails(errors.FOREIGN_ACCOUNT_ID, run, {"policies": policies})
        handler_id = make_handler(account, HandlerType.DYNAMIC)
        fails(errors.FOREIGN_ACCOUNT_ID, run, {"handler_id": handler_id, "policies": policies})

    def test_a_list_that_is_deleted(self, run: Callable[..., Outcome], account: Account) -> None:
        link = {"link_to_lists_policy": [{"list_id": str(uuid4())}], "store_face": 1}
        fails(errors.LISTS_NOT_FOUND, run, {"policies": {"storage_policy": {"face_policy": link}}}, self.one)
        assert not events_of(account)
        assert not StoredObject.objects.for_account(account.account_id).exists()


def fails(code: int, run: Callable[..., Outcome], *arguments: Any) -> LunaError:
    with pytest.raises(LunaError) as raised:
        run(*arguments)
    assert raised.value.code == code
    return raised.value


def test_events_of_a_queue_are_stored_with_their_checkpoint(run: Callable[..., Outcome], account: Account) -> None:
    policies = {"storage_policy": {"event_policy": {"wait_saving": 0}}}
    outcome = run({"policies": policies}, {"prefix": "a"})
    assert [event.event_id for event in events_of(account)] == event_ids(outcome)


ARCHIVE = {"source_type": "zip", "reference": "http://host/a.zip"}
SAMBA = {"source_type": "samba", "host": "a"}
KEYS = {"public_access_key": "a", "secret_access_key": "b"}
SOURCES: list[tuple[Any, str]] = [
    ({}, "source.source_type"),
    ({"source_type": "tape"}, "source.source_type"),
    ({"source_type": "zip"}, "source.reference"),
    ({"source_type": "zip", "reference": "ftp://host/a.zip"}, "source.reference"),
    ({"source_type": "zip", "reference": "http://user:key@host/a.zip"}, "source.reference"),
    ({**ARCHIVE, "path": "/"}, "source.path"),
    ({**ARCHIVE, "authorization": {"user": "a"}}, "source.authorization.user"),
    ({**ARCHIVE, "image_type": 3}, "source.image_type"),
    ({**ARCHIVE, "prefix": 1}, "source.prefix"),
    ({**ARCHIVE, "prefix": "a\x00"}, "source.prefix"),
    ({**ARCHIVE, "recursive": 2}, "source.recursive"),
    ({"source_type": "s3", "bucket_name": "a"}, "source.authorization.public_access_key"),
    ({"source_type": "s3", "authorization": KEYS}, "source.bucket_name"),
    ({"source_type": "network_disk", "path": "pictures"}, "source.path"),
    ({"source_type": "network_disk", "path": "/a/../b"}, "source.path"),
    ({"source_type": "ftp", "host": "a", "authorization": {"user": "a"}}, "source.authorization.password"),
    ({"source_type": "ftp", "host": "a/b", "authorization": {"user": "a", "password": "b"}}, "source.host"),
    ({"source_type": "ftp", "host": "a", "port": 0, "authorization": {"user": "a", "password": "b"}}, "source.port"),
    ({**SAMBA}, "source.path"),
    ({**SAMBA, "path": "/"}, "source.path"),
    ({**SAMBA, "path": "b", "authorization": {"password": "a"}}, "source.authorization.user"),
    ("zip", "source"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "path"), SOURCES)
def test_bad_sources(source: Any, path: str) -> None:
    content = {"source": source, "handler": {"handler_id": str(uuid4())}}
    with pytest.raises(LunaError) as raised:
        run_task(TYPE, content, scope=Scope(uuid4()))
    assert raised.value.code == errors.INVALID_JSON
    assert raised.value.detail.endswith(f"Path: '{path}'")


@pytest.mark.parametrize(
    ("handler", "path"),
    [
        ({}, "handler.handler_id"),
        ({"handler_id": "x"}, "handler.handler_id"),
        ({"policies": {"unknown": 1}}, "handler.policies.unknown"),
        ({"policies": []}, "handler.policies"),
        ({"name": 1}, "handler.name"),
    ],
)
def test_bad_handlers(handler: Any, path: str) -> None:
    content = {"source": {"source_type": "zip", "reference": "/6/objects/x"}, "handler": handler}
    with pytest.raises(LunaError) as raised:
        run_task(TYPE, content, scope=Scope(uuid4()))
    assert raised.value.code == errors.INVALID_JSON
    assert raised.value.detail.endswith(f"Path: '{path}'")


def test_what_a_schedule_and_an_operator_cannot_create(account: Account) -> None:
    content = {
        "source": {"source_type": "zip", "reference": "http://host/a.zip"},
        "handler": {"handler_id": make_handler(account, policies={})},
    }
    checked = TYPE.Content().run_validation(content)
    TYPE.check(checked, scope=Scope(account.account_id), scheduled=False)
    for scope, scheduled in ((Scope(account.account_id), True), (Scope(None), False)):
        with pytest.raises(LunaError) as raised:
            TYPE.check(checked, scope=scope, scheduled=scheduled)
        assert raised.value.code == errors.INVALID_JSON


def test_secrets_are_sealed() -> None:
    callbacks = [
        {"authorization": {"login": "S1", "password": "S2"}, "params": {"secret": "S3", "headers": {"X-Key": "S4"}}},
        {"type": "luna-ws-notification"},
    ]
    content = {
        "source": {"authorization": {"user": "anna", "password": "S5", "secret_access_key": "S6"}},
        "handler": {"policies": {"storage_policy": {"callbacks": callbacks}}},
    }
    sealed = content_seal(TYPE, content)
    for secret in ("S1", "S2", "S3", "S4", "S5", "S6"):
        assert f"'{secret}'" not in str(sealed)
        assert f"'{secret}'" not in str(content_mask(TYPE, sealed))
    assert "anna" in str(sealed)
    assert content_open(TYPE, sealed) == content
    assert content_seal(TYPE, content_mask(TYPE, sealed), sealed) == sealed
