"""Checks of tasks and their results for `manage.py fsck`."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from django.db.models import Exists, OuterRef

from apps.common.holdings import Fault
from apps.common.times import utc_now
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.types import KEEP
from apps.tasks.machine.queue import live_tokens
from apps.tasks.models import Subtask, Task
from apps.tasks.results import BUCKET, TASK_KEY, results_remove

YOUNG = timedelta(minutes=10)  # results whose end is being stored


def results_check(deep: bool) -> Iterator[Fault]:
    """Yield results that belong to no task: a worker died between the result and the end of a stage."""
    live = live_tokens()
    rows = StoredObject.objects.unscoped().filter(
        ~Exists(Task.objects.unscoped().filter(result_id=OuterRef("object_id"))),
        ~Exists(Subtask.objects.filter(result_id=OuterRef("object_id"))),
        bucket=BUCKET,
        meta__has_key=TASK_KEY,
        create_time__lt=utc_now() - YOUNG,
    )
    for row in rows.iterator():
        if str(row.object_id) not in live:
            yield Fault("result without task", str(row.object_id), partial(results_remove, [row.object_id]))


def tasks_check(deep: bool) -> Iterator[Fault]:
    """Yield tasks whose result is gone although it has no time to live."""
    stored = StoredObject.objects.unscoped().filter(bucket=BUCKET, object_id=OuterRef("result_id"))
    rows = Task.objects.unscoped().filter(~Exists(stored), result_id__isnull=False)
    kept = StoredBucket.objects.filter(name=BUCKET, ttl_days__isnull=False).exists()
    rows = rows.filter(result_ttl_days=KEEP) if kept else rows.exclude(result_ttl_days__gt=0)
    for task_id in rows.values_list("task_id", flat=True).iterator():
        yield Fault("task without its result", str(task_id), partial(_forget, task_id))


def _forget(task_id: int) -> None:
    Task.objects.unscoped().filter(task_id=task_id).update(result_id=None)
