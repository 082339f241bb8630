"""Callbacks about changed statuses of tasks and subtasks: their policy, and the callbacks of a change."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypedDict

import orjson
from rest_framework import serializers

from apps.common import errors
from apps.common.addresses import address
from apps.common.errors import LunaError
from apps.common.json_types import IdJson, TimeJson
from apps.common.links import external_url
from apps.common.secrets import MASK, SEALED, Secret, UnreadableSecretError, sealed_places
from apps.common.times import format_time
from apps.common.validation import StrictSerializer, checked_data
from apps.handlers.policies.base import MAX_ITEMS
from apps.handlers.policies.callbacks import (
    HTTP,
    HttpParamsSerializer,
    SecretField,
    UrlField,
    foreign_params_check,
    webhook,
)
from apps.handlers.secrets import callbacks_mask, callbacks_seal
from apps.sender.outbox import NewCallback, callbacks_create
from apps.sender.targets import Target, TelegramChat
from apps.tasks.choices import TaskStatus
from apps.tasks.models import Subtask, Task
from apps.tasks.types.registry import task_types

logger = logging.getLogger(__name__)

TELEGRAM = "telegram"
TASK_CALLBACKS, SUBTASK_CALLBACKS = "task_callbacks", "subtask_callbacks"
KINDS = (TASK_CALLBACKS, SUBTASK_CALLBACKS)
HTTP_PARAMS = ("headers", "secret")


class TaskAuthorizationSerializer(StrictSerializer):
    """Credentials: `login` and `password` of a URL, or the `token` of a Telegram bot."""

    type = serializers.ChoiceField(choices=("basic",), required=False)
    login = SecretField(r"[^:\x00]*", max_length=128, required=False)
    password = SecretField(max_length=128, allow_blank=True, required=False)
    token = SecretField(rf"[0-9]{{1,20}}:[A-Za-z0-9_-]{{20,100}}|{MASK.replace('*', '[*]')}", required=False)


class TaskParamsSerializer(HttpParamsSerializer):
    chat_id = serializers.RegexField(
        r"\A(?:-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64})\Z",
        required=False,
        help_text="Of Telegram: the number of a chat, or `@name` of a channel.",
    )


class TaskCallbackSerializer(StrictSerializer):
    """A callback to a URL, or to a chat of a Telegram bot. Its value is the target."""

    type = serializers.ChoiceField(choices=(HTTP, TELEGRAM))
    url = UrlField(required=False)
    authorization = TaskAuthorizationSerializer(required=False)
    params = TaskParamsSerializer(required=False)

    def to_internal_value(self, data: Any) -> Target:
        values = super().to_internal_value(data)
        authorization = values.get("authorization", {})
        params = values.get("params") or TaskParamsSerializer().run_validation({})
        if values["type"] == HTTP:
            _required(values, "url")
            foreign_params_check(HTTP, params, ("chat_id",))
            if "token" in authorization:
                raise serializers.ValidationError({"authorization": {"token": f"Not a parameter of {HTTP}."}})
            if authorization:
                _required(authorization, "login", "authorization")
                _required(authorization, "password", "authorization")
            return webhook(values["url"], authorization, params)
        foreign_params_check(TELEGRAM, params, HTTP_PARAMS)
        _required(authorization, "token", "authorization")
        _required(params, "chat_id", "params")
        return TelegramChat(chat_id=params["chat_id"], token=authorization["token"], timeout_s=params["timeout"])


class TaskNotificationSerializer(StrictSerializer):
    """Callbacks about changed statuses of a task, and of its subtasks."""

    example = {
        TASK_CALLBACKS: [
            {"type": HTTP, "url": "https://desk.example/tasks", "params": {"timeout": 10}},
            {
                "type": TELEGRAM,
                "authorization": {"token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"},
                "params": {"chat_id": "-1001234567890"},
            },
        ],
        SUBTASK_CALLBACKS: [],
    }
    task_callbacks = serializers.ListField(child=TaskCallbackSerializer(), max_length=MAX_ITEMS, default=list)
    subtask_callbacks = serializers.ListField(child=TaskCallbackSerializer(), max_length=MAX_ITEMS, default=list)


class _Envelope(serializers.Serializer[Any]):
    notification_policy = TaskNotificationSerializer()


def policy_seal(policy: Any, kept: Any = None) -> Any:
    """Check a client's notification policy and return it with sealed secrets, for a row; None for None.

    `kept`: the stored policy that it replaces; masks keep its secrets of the same address. Raises LunaError
    INVALID_JSON.
    """
    if policy is None:
        return None
    checked_data(_Envelope, {"notification_policy": policy})
    sealed = deepcopy({kind: policy.get(kind) or [] for kind in KINDS})
    for kind in KINDS:
        callbacks_seal(sealed[kind], (kept or {}).get(kind, ()), path=f"notification_policy.{kind}")
    return sealed


def policy_mask(policy: Any) -> Any:
    """Return a stored policy with masked secrets, for responses."""
    masked = deepcopy(policy)
    for kind in KINDS if masked else ():
        callbacks_mask(masked[kind])
    return masked


def policy_check(policy: Any) -> None:
    """Check that the secrets of a stored policy can be read. Raises LunaError CREDENTIALS_DECRYPTION_FAILED."""
    for holder, _ in sealed_places(policy):
        try:
            Secret(holder[SEALED]).reveal()
        except UnreadableSecretError as error:
            raise LunaError(errors.CREDENTIALS_DECRYPTION_FAILED) from error


class TaskChangeJson(TypedDict):
    """The body of a callback about a task."""

    task_id: int
    task_type: int
    task_status: int
    account_id: IdJson | None
    schedule_id: int | None
    create_time: TimeJson
    last_update_time: TimeJson
    end_time: TimeJson | None
    count_task_parts_done: int
    count_task_parts_all: int
    result_id: IdJson | None
    result_url: str | None


class SubtaskChangeJson(TypedDict):
    """The body of a callback about a subtask."""

    task_id: int
    subtask_id: int
    task_type: int
    subtask_status: int
    account_id: IdJson | None
    create_time: TimeJson
    end_time: TimeJson | None
    result_id: IdJson | None
    result_url: str | None


def task_changed(task: Task) -> None:
    """Store the callbacks about a task's new status, in the caller's transaction."""
    if not (callbacks := (task.notification_policy or {}).get(TASK_CALLBACKS)):
        return
    done = task.task_status == TaskStatus.DONE and task.result_id is not None
    body: TaskChangeJson = {
        "task_id": task.task_id,
        "task_type": task.task_type,
        "task_status": task.task_status,
        "account_id": _id(task.account_id),
        "schedule_id": task.schedule_id,
        "create_time": format_time(task.create_time),
        "last_update_time": format_time(task.last_update_time),
        "end_time": format_time(task.end_time),
        "count_task_parts_done": task.count_task_parts_done,
        "count_task_parts_all": task.count_task_parts_all,
        "result_id": _id(task.result_id),
        "result_url": external_url(address("task_result", str(task.task_id))) if done else None,
    }
    text = f"Task {task.task_id} ({_type_name(task)}): {_status_name(task.task_status)}"
    _create(task, callbacks, [_Message(body=body, text=_lines(text, body["result_url"]))])


def subtasks_changed(task: Task, subtasks: Iterable[Subtask]) -> None:
    """Store the callbacks about new statuses of a task's subtasks, in the caller's transaction."""
    if not (callbacks := (task.notification_policy or {}).get(SUBTASK_CALLBACKS)):
        return
    messages = []
    for subtask in subtasks:
        done = subtask.subtask_status == TaskStatus.DONE and subtask.result_id is not None
        ids = (str(task.task_id), str(subtask.subtask_id))
        body: SubtaskChangeJson = {
            "task_id": task.task_id,
            "subtask_id": subtask.subtask_id,
            "task_type": task.task_type,
            "subtask_status": subtask.subtask_status,
            "account_id": _id(task.account_id),
            "create_time": format_time(subtask.create_time),
            "end_time": format_time(subtask.end_time),
            "result_id": _id(subtask.result_id),
            "result_url": external_url(address("subtask_result", *ids)) if done else None,
        }
        text = f"Subtask {subtask.subtask_id} of task {task.task_id} ({_type_name(task)}): "
        text += _status_name(subtask.subtask_status)
        messages.append(_Message(body=body, text=_lines(text, body["result_url"])))
    _create(task, callbacks, messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """A change, as JSON and as text."""

    body: Mapping[str, Any]
    text: str

    def payload(self, target: Target) -> str:
        is_chat = target.kind == TelegramChat.kind
        return orjson.dumps({"text": self.text} if is_chat else self.body).decode()


def _create(task: Task, callbacks: Sequence[Any], messages: Sequence[_Message]) -> None:
    policy = {TASK_CALLBACKS: callbacks}
    try:
        parsed = checked_data(_Envelope, {"notification_policy": policy}, stored=True)["notification_policy"]
    except LunaError:  # of an older release: it must not stop the tasks, whose claims create callbacks
        logger.exception("The notification policy of task %d is not valid: nothing is sent", task.task_id)
        return
    targets: Sequence[Target] = parsed[TASK_CALLBACKS]
    new = [NewCallback(target=each, payload=message.payload(each)) for message in messages for each in targets]
    callbacks_create(account_id=task.account_id, callbacks=new)


def _required(values: Mapping[str, Any], name: str, *path: str) -> None:
    if values.get(name) is None:
        problem: Any = {name: "This field is required."}
        for step in reversed(path):
            problem = {step: problem}
        raise serializers.ValidationError(problem)


def _id(value: object) -> str | None:
    return None if value is None else str(value)


def _lines(text: str, url: str | None) -> str:
    return text if url is None else f"{text}\n{url}"


def _type_name(task: Task) -> str:
    kind = task_types().get(task.task_type)
    return f"type {task.task_type}" if kind is None else kind.name


def _status_name(status: int) -> str:
    return str(TaskStatus(status).label).lower()
