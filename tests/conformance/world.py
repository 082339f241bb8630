"""One object of each type of an account, created through the API, and a snapshot of all stored data."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import redis
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test import Client

from apps.common.times import utc_now
from apps.configurator.services import (
    LimitationDraft,
    SettingDraft,
    group_create,
    limitation_create,
    setting_create,
)
from apps.imagestore.buckets import bucket_create
from apps.tasks.models import TaskError
from tests.api.handlers.helpers import astronaut
from tests.tasks import run_all

JSON, JPEG = "application/json", "image/jpeg"
MARK = "known-to-the-owner-only"
SCHEDULE = {
    "task": {"task_type": "clustering", "content": {"objects_type": "faces"}, "description": MARK},
    "trigger": {"cron": "0 3 * * *"},
}
POLICIES = {
    "extract_policy": {"extract_basic_attributes": 1},
    "storage_policy": {
        "image_origin_policy": {"store_image": 1},
        "attribute_policy": {"store_attribute": 1},
        "face_policy": {"store_face": 1},
    },
}


def make_world(client: Client) -> dict[str, str]:
    """Ids by the names that the API gives them: face_id, list_id and so on."""
    handler = made(client, "/6/handlers", {"description": MARK, "policies": POLICIES})
    list_id = made(client, "/6/lists", {"user_data": MARK})["list_id"]
    query = {"source": MARK, "user_data": MARK, "external_id": MARK}
    event = made(client, f"{handler['url']}/events", astronaut(), JPEG, query)["events"][0]
    face_id = event["face"]["face_id"]
    linked = client.patch(f"/6/lists/{list_id}/faces", {"action": "attach", "face_ids": [face_id]}, JSON)
    assert linked.status_code in (200, 204), linked.content
    image_id = made(client, "/6/images", astronaut(), JPEG)["image_id"]
    object_id = made(client, "/6/objects", {"text": MARK})["object_id"]
    bucket = bucket_create(name="bucket-of-everybody").name
    for path, body, media_type in (("images", astronaut(), JPEG), ("objects", {"text": MARK}, JSON)):
        key = image_id if path == "images" else object_id
        stored = client.put(f"/1/buckets/{bucket}/{path}/{key}", body, media_type)
        assert stored.status_code == 201, stored.content
    return {
        "handler_id": handler["handler_id"],
        "verifier_id": made(client, "/6/verifiers", {"description": MARK, "policies": {}})["verifier_id"],
        "list_id": list_id,
        "event_id": event["event_id"],
        "face_id": face_id,
        "sample_id": event["detections"][0]["samples"]["face"]["sample_id"],
        "image_id": image_id,
        "object_id": object_id,
        "bucket": bucket,
        "attribute_id": event["face_attributes"]["attribute_id"],
        **done_task(client),
        "schedule_id": str(made(client, "/6/tasks/schedules", SCHEDULE)["schedule_id"]),
        **settings_world(),
        "token_id": made(client, "/6/tokens", {"description": MARK, "permissions": {}})["token_id"],
    }


def settings_world() -> dict[str, str]:
    """Return the names of a limitation and a group, and the id of a tagged setting. They are everybody's."""
    group, limitation = "group-of-everybody", "LIMITATION_OF_EVERYBODY"
    group_create(name=group)
    limitation_create(
        draft=LimitationDraft(name=limitation, schema={}, services=["service-of-everybody"], default_value=MARK),
        groups=[group],
    )
    setting = setting_create(draft=SettingDraft(name=limitation, value=MARK, tags=["tag-of-everybody"]))
    return {
        "setting": str(setting.pk),
        "limitation_name": limitation,
        "group_name": group,
    }


def done_task(client: Client) -> dict[str, str]:
    """Return the ids of a task, its result, its subtask and an error."""
    content = {"objects_type": "faces"}
    task = made(client, "/6/tasks/clustering", {"content": content, "description": MARK})
    run_all()
    result_id = client.get(task["url"]).json()["result_id"]
    assert result_id
    (subtask,) = client.get(f"{task['url']}/subtasks").json()["subtasks"]
    error = TaskError.objects.create(
        task_id=task["task_id"], error_code=0, description=MARK, detail=MARK, error_time=utc_now()
    )
    return {
        "task_id": str(task["task_id"]),
        "result_id": result_id,
        "subtask_id": str(subtask["subtask_id"]),
        "error_id": str(error.error_id),
    }


def made(client: Client, path: str, body: Any, media_type: str = JSON, query: Any = None) -> dict[str, Any]:
    answer = client.post(path, body, media_type, query_params=query)
    assert answer.status_code in (201, 202), answer.content
    created: dict[str, Any] = answer.json()
    return created


@cache
def stored_models() -> list[type[models.Model]]:
    """Every table of the platform but the audit log, which grows by design."""
    ours = [config for config in apps.get_app_configs() if config.name.startswith("apps.")]
    return [model for config in ours for model in config.get_models() if model.__name__ != "AuditRecord"]


def everything(keys: "redis.Redis") -> dict[str, str]:
    """A digest of all rows, files and temporary attributes, by table, file and key."""
    rows = {model.__name__: digest(sorted(map(repr, model._base_manager.values_list()))) for model in stored_models()}
    folder = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    files = {str(path): digest(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    attributes = {str(key): digest(keys.get(key)) for key in keys.scan_iter("luna:attribute:*")}
    return rows | files | attributes


def digest(value: Any) -> str:
    return hashlib.sha256(value if isinstance(value, bytes) else orjson.dumps(value)).hexdigest()
