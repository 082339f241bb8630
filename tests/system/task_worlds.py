"""Seeds accounts with faces, events and samples, and reads back all that a task changed: rows, objects, audit lines.

Runs beside a platform, in its environment: a request is a line of JSON on stdin, its answer one on stdout.
"""

import io
import json
import sys
import time
from collections import Counter
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import django

PERSONS = 6


def vectors(count: int, dimension: int) -> Any:
    """Unit vectors of `PERSONS` persons in turn: far from other persons, close to the own one."""
    import numpy as np

    random = np.random.default_rng(13)
    centres = np.linalg.qr(random.standard_normal((dimension, PERSONS)))[0].T
    found = centres[np.arange(count) % PERSONS] + random.standard_normal((count, dimension)) * 0.15 / dimension**0.5
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def picture(number: int) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(data, "PNG")
    return data.getvalue()


def seed(*, faces: int = 0, events: int = 0, warp: str | None = None) -> dict[str, Any]:
    """Make an account. `warp`: the id of a stored face warp; faces get copies of it and no descriptors."""
    from apps.accounts.choices import AccountType
    from apps.accounts.services import account_create
    from apps.common.descriptors import Descriptor, versions
    from apps.common.scope import Scope
    from apps.events.services import events_create
    from apps.events.types import EventDraft, EventRecord
    from apps.faces.models import FaceDescriptor
    from apps.faces.services import faces_create
    from apps.faces.types import AttributeData, FaceDraft
    from apps.imagestore.choices import Bucket
    from apps.imagestore.selectors import object_get
    from apps.imagestore.services import object_bytes, object_store
    from tests.factories import NOON

    login, password = f"{uuid4()}@luna.test", "kill-it-with-nine"
    account = account_create(login=login, password=password, account_type=AccountType.USER)
    version = versions.default("face")
    points = vectors(max(faces, events, 1), version.dimension)
    data, kind = None, "image/png"
    if warp is not None:
        row = object_get(scope=Scope(None), bucket=Bucket.FACE_SAMPLES, object_id=UUID(warp))
        data, kind = object_bytes(stored=row), row.content_type

    def sample(number: int) -> UUID:
        given = data or picture(number)
        stored = object_store(bucket=Bucket.FACE_SAMPLES, account_id=account.account_id, data=given, content_type=kind)
        found: UUID = stored.object_id
        return found

    drafts = []
    for number in range(faces):
        stored = (sample(number),)
        described = (Descriptor(version.version, points[number], 1.0),)
        attribute = AttributeData(descriptors=described, descriptor_samples=stored)
        drafts.append(FaceDraft(external_id=f"f{number}", user_data=("new", "old")[number % 2], attribute=attribute))
    made = faces_create(account_id=account.account_id, drafts=drafts)
    if data:  # to be extracted again
        FaceDescriptor.objects.filter(face__in=made).delete()
    records = [
        EventRecord(
            EventDraft(
                create_time=NOON,
                external_id=f"e{number}",
                user_data=("new", "old")[number % 2],
                face_detections=[{"sample_id": str(sample(number))}],
            ),
            [Descriptor(version.version, points[number], 1.0)],
        )
        for number in range(events)
    ]
    events_create(account_id=account.account_id, records=records)
    return {
        "account_id": str(account.account_id),
        "login": login,
        "password": password,
        "version": version.version,
        "dimension": version.dimension,
        "face_ids": [str(each.face_id) for each in made],
        "event_ids": [str(each.draft.event_id) for each in records],
    }


def warp(*, account_id: str) -> str:
    """Return the id of a face sample of an account."""
    from apps.imagestore.choices import Bucket
    from apps.imagestore.models import StoredObject

    row = StoredObject.objects.for_account(UUID(account_id)).filter(bucket=Bucket.FACE_SAMPLES).get()
    return str(row.object_id)


def extract(*, account_id: str, policy: Any = None) -> int:
    """Create a task of additional extraction, as Admin does."""
    from apps.accounts.auth.principal import Actor
    from apps.tasks.services import TaskDraft, task_create
    from apps.tasks.types.registry import task_type_named

    kind = task_type_named("additional_extract")
    assert kind is not None
    content = {
        "extraction_target": "face_descriptor",
        "options": {"descriptor_version": kind_version()},
        "filters": {"object_type": "faces"},
        "account_id": account_id,
    }
    draft = TaskDraft(content=content, notification_policy=policy)
    task_id: int = task_create(task_type=kind, account_id=None, draft=draft, actor=Actor(None)).task_id
    return task_id


def kind_version() -> int:
    from apps.common.descriptors import versions

    return versions.default("face").version


def cancel(*, task_id: int) -> None:
    from apps.common.errors import LunaError
    from apps.common.scope import Scope
    from apps.tasks.services import task_cancel

    try:
        task_cancel(scope=Scope(None), task_id=task_id)
    except LunaError as error:
        if error.status != 400:  # it has ended
            raise


def task(*, task_id: int) -> dict[str, Any] | None:
    from apps.tasks.models import Task, TaskError

    row = Task.objects.unscoped().filter(task_id=task_id).first()
    if row is None:
        return None
    reasons = TaskError.objects.filter(task_id=task_id).values_list("error_code", "detail")
    return {
        "status": row.task_status,
        "done": row.count_task_parts_done,
        "all": row.count_task_parts_all,
        "errors": [list(each) for each in reasons],
    }


def stages(*, task_ids: list[int]) -> dict[str, str]:
    """Return the stage of each task: of the machine, `notification` while callbacks wait, or `ended`."""
    from apps.sender.models import Callback
    from apps.tasks.choices import TaskStatus
    from apps.tasks.models import Task

    found = {}
    for row in Task.objects.unscoped().filter(task_id__in=task_ids):
        if row.task_status == TaskStatus.PENDING or (row.task_status == TaskStatus.IN_PROGRESS and row.lease_token):
            found[str(row.task_id)] = "split"
        elif row.task_status == TaskStatus.IN_PROGRESS:
            found[str(row.task_id)] = "process"
        elif row.task_status == TaskStatus.COLLECTING:
            found[str(row.task_id)] = "merge"
        else:
            waiting = Callback.objects.unscoped().filter(payload__startswith=f'{{"task_id":{row.task_id},').exists()
            found[str(row.task_id)] = "notification" if waiting else "ended"
    return found


def waiting(*, task_id: int) -> list[Any]:
    """Return the undelivered callbacks of a task, for the message of a failed test."""
    from apps.common.times import utc_now
    from apps.sender.models import Callback

    rows = Callback.objects.unscoped().filter(payload__startswith=f'{{"task_id":{task_id},')
    return [utc_now(), *rows.values_list("due_time", "dead_time", "attempts", "error", "create_time")]


def schedules_due(*, schedule_ids: list[int]) -> None:
    from apps.common.times import utc_now
    from apps.tasks.models import Schedule

    Schedule.objects.unscoped().filter(schedule_id__in=schedule_ids).update(next_run_at=utc_now())


def schedules_left(*, schedule_ids: list[int]) -> int:
    from apps.common.times import utc_now
    from apps.tasks.models import Schedule

    due: int = Schedule.objects.unscoped().filter(schedule_id__in=schedule_ids, next_run_at__lte=utc_now()).count()
    return due


def schedules_runs(*, schedule_ids: list[int]) -> dict[str, int]:
    from apps.tasks.models import Task

    rows = Task.objects.unscoped().filter(schedule_id__in=schedule_ids)
    return dict(Counter(str(each) for each in rows.values_list("schedule_id", flat=True)))


def state(*, account_id: str, task_id: int) -> dict[str, Any]:
    """Return what an account has, and what its task left, without ids that differ between accounts.

    Rows are ordered by names: subtasks write them at the same time. Results that killed workers left are deleted first,
    as `tasks.results` does ten minutes later: a worker that dies between its claim and this deletion leaves them.
    """
    from apps.accounts.models import AuditRecord
    from apps.events.models import Event
    from apps.faces.models import Face, FaceDescriptor, ListFace
    from apps.handlers.models import Handler
    from apps.imagestore.models import StoredObject
    from apps.imagestore.services import object_bytes
    from apps.sender.models import Callback
    from apps.tasks import consistency, jobs
    from apps.tasks.models import Subtask, SubtaskOutput, Task, TaskError

    owner = UUID(account_id)
    faces = [*Face.objects.for_account(owner).order_by("pk")]
    events = [*Event.objects.for_account(owner).order_by("pk")]
    event_names = {each.event_id: each.external_id for each in events}
    subtasks = [*Subtask.objects.filter(task_id=task_id).order_by("pk")]
    row = Task.objects.unscoped().get(task_id=task_id)
    audit = AuditRecord.objects.filter(object_account_id=owner).exclude(action="delete", object_type="task_result")
    audit = audit.exclude(action="view", object_type="object")  # an archive: each attempt opens it
    lines = Counter(audit.filter(action="delete").exclude(object_type="object").values_list("object_type", "object_id"))
    results = {each.result_id for each in subtasks} | {row.result_id}
    stored = [*StoredObject.objects.for_account(owner)]
    for each in stored:  # raises if the file is gone
        object_bytes(stored=each)
    with patch.object(consistency, "YOUNG", timedelta(seconds=5)):
        jobs.results()
    orphans = StoredObject.objects.unscoped().filter(bucket="task-result", meta__task_id=task_id)
    return {
        "faces": sorted(
            [each.external_id, each.user_data, bool(each.avatar), event_names.get(each.event_id)] for each in faces
        ),
        "descriptors": sorted(
            FaceDescriptor.objects.filter(face__in=faces).values_list("face__external_id", "version", "generation")
        ),
        "links": sorted(ListFace.objects.filter(list__account_id=owner).values_list("face__external_id", flat=True)),
        "events": sorted([each.external_id, each.user_data] for each in events),
        "handlers": Handler.objects.for_account(owner).count(),
        "objects": sorted(Counter(each.bucket for each in stored if each.bucket != "task-result").items()),
        "orphans": orphans.exclude(object_id__in=[each for each in results if each]).count(),
        "double_deletions": sum(count > 1 for count in lines.values()),
        "deletions": sorted(Counter(kind for kind, _ in lines).items()),
        "subtasks": [
            (each.subtask_status, each.parts_done, each.parts_all, each.count_errors, each.lease_token is not None)
            for each in subtasks
        ],
        "outputs_of_unfinished": SubtaskOutput.objects.filter(
            subtask__task_id=task_id, subtask__subtask_status__in=(0, 1)
        ).count(),
        "task": (row.task_status, row.count_task_parts_done, row.count_task_parts_all, row.count_errors),
        "errors": sorted(TaskError.objects.filter(task_id=task_id).values_list("error_code", flat=True)),
        "callbacks_left": Callback.objects.unscoped().filter(payload__startswith=f'{{"task_id":{task_id},').count(),
        "audit": sorted([*key, count] for key, count in Counter(audit.values_list("action", "object_type")).items()),
    }


def names(*, account_id: str) -> dict[str, str]:
    """Return names of the faces and events of an account that are equal in each account, by id."""
    from apps.events.models import Event
    from apps.faces.models import Face

    found, owner = {}, UUID(account_id)
    for event_id, name in Event.objects.for_account(owner).values_list("event_id", "external_id"):
        found[str(event_id)] = name
    for face_id, name in Face.objects.for_account(owner).values_list("face_id", "external_id"):
        found[str(face_id)] = name
    return found


def unfinished() -> int:
    from apps.tasks.models import Subtask, Task

    waiting: int = Task.objects.unscoped().filter(task_status__in=(0, 1, 4)).count()
    return waiting + Subtask.objects.filter(subtask_status__in=(0, 1)).count()


def fsck() -> str:
    from django.core.management import CommandError, call_command

    output = io.StringIO()
    try:
        call_command("fsck", stdout=output, stderr=output)
    except CommandError as error:
        output.write(str(error))
    return output.getvalue()


def main() -> None:
    django.setup()
    from django.db import InterfaceError, OperationalError, connections

    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        name, given = json.loads(line)
        for _ in range(60):
            try:
                found = {"found": globals()[name](**given)}
            except (OperationalError, InterfaceError) as error:  # PostgreSQL was killed
                connections.close_all()
                found = {"error": repr(error)}
                if name in ("seed", "extract"):
                    break  # perhaps done
                time.sleep(0.5)
                continue
            except Exception as error:
                found = {"error": repr(error)}
            break
        print(json.dumps(found, default=str), file=answers, flush=True)


if __name__ == "__main__":
    main()
