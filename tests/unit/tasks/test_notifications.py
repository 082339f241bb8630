"""Notification policies: what they accept, sealed secrets, and the callbacks of a change."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from apps.common.config import Services
from apps.common.errors import LunaError
from apps.common.secrets import MASK
from apps.common.times import utc_now
from apps.sender.models import Callback
from apps.sender.targets import TARGETS, TelegramChat, Webhook
from apps.tasks.choices import TaskStatus
from apps.tasks.models import Subtask, Task
from apps.tasks.notifications import policy_check, policy_mask, policy_seal, subtasks_changed, task_changed
from tests.factories import make_account

TOKEN = "110201543:" + "A" * 30
HOOK: dict[str, Any] = {
    "type": "http",
    "url": "http://a/b",
    "authorization": {"type": "basic", "login": "user", "password": "p4ss"},
    "params": {"timeout": 5, "headers": {"X-Key": "k3y"}},
}
CHAT: dict[str, Any] = {"type": "telegram", "authorization": {"token": TOKEN}, "params": {"chat_id": "-100"}}


def policy(*, task: Any = (), subtask: Any = ()) -> dict[str, Any]:
    return {"task_callbacks": [*task], "subtask_callbacks": [*subtask]}


def test_secrets_are_sealed_and_masked_and_a_mask_keeps_them_at_their_address() -> None:
    sealed = policy_seal({"task_callbacks": [HOOK, CHAT]})
    assert not any(secret in json.dumps(sealed) for secret in ("user", "p4ss", "k3y", TOKEN))
    masked = policy_mask(sealed)
    assert [each["authorization"] for each in masked["task_callbacks"]] == [
        {"type": "basic", "login": MASK, "password": MASK},
        {"token": MASK},
    ]
    assert masked["task_callbacks"][0]["params"] == {"timeout": 5, "headers": {"X-Key": MASK}}
    assert masked["subtask_callbacks"] == []
    assert policy_seal(masked, sealed) == sealed
    masked["task_callbacks"][1]["params"]["chat_id"] = "-666"
    with pytest.raises(LunaError, match=r"notification_policy\.task_callbacks\.1\.authorization\.token"):
        policy_seal(masked, sealed)
    with pytest.raises(LunaError):
        policy_seal(policy_mask(sealed))
    assert policy_seal(None) is policy_mask(None) is None


@pytest.mark.parametrize(
    ("callback", "path"),
    [
        ({**HOOK, "type": "mqtt"}, "type"),
        ({**HOOK, "url": "mqtt://a"}, "url"),
        ({**HOOK, "url": "http://u:p@a"}, "url"),
        ({"type": "http"}, "url"),
        ({**HOOK, "enable": 1}, "enable"),
        ({**HOOK, "authorization": {"login": "a"}}, "authorization.password"),
        ({**HOOK, "authorization": {"token": TOKEN}}, "authorization.token"),
        ({**HOOK, "params": {"chat_id": "1"}}, "params.chat_id"),
        ({**CHAT, "params": {}}, "params.chat_id"),
        ({**CHAT, "params": {"chat_id": "a/b"}}, "params.chat_id"),
        ({**CHAT, "params": {"chat_id": "1", "headers": {"A": "b"}}}, "params.headers"),
        ({**CHAT, "authorization": {}}, "authorization.token"),
        ({**CHAT, "authorization": {"token": "1:../../x"}}, "authorization.token"),
        (5, ""),
    ],
)
def test_other_callbacks_are_refused_with_their_path(callback: Any, path: str) -> None:
    with pytest.raises(LunaError) as refused:
        policy_seal({"task_callbacks": [HOOK, callback]})
    assert refused.value.code == 12027
    where = ".".join(part for part in ("notification_policy.task_callbacks.1", path) if part)
    assert f"Path: '{where}" in str(refused.value.detail)


@pytest.mark.parametrize("wrong", [[], 5, {"callbacks": []}, {"task_callbacks": {}}, {"task_callbacks": [HOOK] * 31}])
def test_other_policies_are_refused(wrong: Any) -> None:
    with pytest.raises(LunaError) as refused:
        policy_seal(wrong)
    assert refused.value.code == 12027


def test_unreadable_secrets_are_28041(configure: Callable[..., None]) -> None:
    sealed = policy_seal({"task_callbacks": [CHAT]})
    policy_check(sealed)
    configure(Services, secret_key=SecretStr("k" * 50))
    with pytest.raises(LunaError) as error:
        policy_check(sealed)
    assert error.value.code == 28041


@pytest.mark.django_db
@pytest.mark.parametrize("operators", [False, True])
def test_changes_reach_the_targets_of_their_kind(operators: bool, configure: Callable[..., None]) -> None:
    account_id = None if operators else make_account().pk
    now = utc_now()
    times = {"create_time": now, "last_update_time": now}
    task = Task(
        task_id=7,
        account_id=account_id,
        task_type=4321,
        task_status=TaskStatus.IN_PROGRESS,
        notification_policy=policy_seal(policy(task=[HOOK, CHAT], subtask=[HOOK])),
        **times,
    )
    parts = [Subtask(subtask_id=n, task=task, subtask_status=TaskStatus.FAILED, create_time=now) for n in (1, 2)]
    task_changed(task)
    subtasks_changed(task, parts)
    rows = list(Callback.objects.unscoped().order_by("pk"))
    assert {row.account_id for row in rows} == {account_id}
    assert [row.kind for row in rows] == ["http", "telegram", "http", "http"]
    body = json.loads(rows[0].payload)
    assert (body["task_id"], body["task_type"], body["task_status"]) == (7, 4321, 1)
    assert body["account_id"] == (None if operators else str(account_id))
    assert (body["result_id"], body["result_url"], body["end_time"]) == (None, None, None)
    assert json.loads(rows[1].payload) == {"text": "Task 7 (type 4321): in progress"}
    assert [json.loads(row.payload)["subtask_id"] for row in rows[2:]] == [1, 2]
    assert json.loads(rows[2].payload)["subtask_status"] == 3

    hook, chat = TARGETS["http"].unpacked(rows[0].target), TARGETS["telegram"].unpacked(rows[1].target)
    assert isinstance(hook, Webhook)
    assert isinstance(chat, TelegramChat)
    assert hook.password is not None
    assert (hook.url, hook.timeout_s, hook.password.reveal(), chat.token.reveal()) == ("http://a/b", 5, "p4ss", TOKEN)

    task.notification_policy = None
    task_changed(task)
    subtasks_changed(task, parts)
    assert Callback.objects.unscoped().count() == 4
