"""Background tasks, their subtasks and their errors. The rows are the queue: workers claim them by leases."""

from typing import ClassVar

from django.db import models

from apps.accounts.models import Account, AccountOwned
from apps.common.json_types import StoredJsonDecoder
from apps.tasks.choices import UNFINISHED, CronZone, ScheduleStatus, TaskStatus


class Task(AccountOwned):
    """A background task. Its stages are split, process (by subtasks) and merge.

    `account`: None for a task of all accounts, which only operators create. `task_type`: a number of `TaskKind` or of
    a user type. `content`: as the client sent it, with sealed secrets. `create_time`: the time that relative times of
    filters refer to. `creator_id`, `token_id`, `remote_address`: the actor of audit lines. `lease_token`, `lease_time`:
    the lease of the worker that splits or merges the task, and its end; `attempts`: leases of the current stage that
    expired. `count_errors`: reported errors, also those over the limit of stored ones.
    `traceparent`: the span that the stages continue, of the request that created the task.
    """

    account = models.ForeignKey(  # type: ignore[assignment]  # nullable, unlike that of other rows
        Account, on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    task_id = models.BigAutoField(primary_key=True)
    task_type = models.PositiveIntegerField()
    task_status = models.PositiveSmallIntegerField(choices=TaskStatus.choices, default=TaskStatus.PENDING)
    create_time = models.DateTimeField()
    end_time = models.DateTimeField(null=True)
    last_update_time = models.DateTimeField()
    result_id = models.UUIDField(null=True)
    result_ttl_days = models.SmallIntegerField(null=True)
    count_task_parts_done = models.PositiveBigIntegerField(default=0)
    count_task_parts_all = models.PositiveBigIntegerField(default=0)
    content = models.JSONField(default=dict, decoder=StoredJsonDecoder)
    description = models.CharField(max_length=128, blank=True, default="")
    notification_policy = models.JSONField(null=True, decoder=StoredJsonDecoder)
    schedule_id = models.BigIntegerField(null=True)
    count_errors = models.PositiveBigIntegerField(default=0)
    creator_id = models.UUIDField(null=True)
    token_id = models.UUIDField(null=True)
    remote_address = models.CharField(max_length=64, null=True)  # noqa: DJ001 (unknown is not empty)
    lease_token = models.UUIDField(null=True)
    lease_time = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    traceparent = models.CharField(max_length=55, null=True)  # noqa: DJ001 (not traced)

    class Meta(AccountOwned.Meta):
        indexes: ClassVar = [
            models.Index(fields=("account", "-task_id"), name="task_account"),
            models.Index(
                fields=("task_status", "task_id"),
                condition=models.Q(task_status__in=UNFINISHED),
                name="task_unfinished",
            ),
            models.Index(fields=("schedule_id",), condition=models.Q(schedule_id__isnull=False), name="task_schedule"),
        ]

    def __str__(self) -> str:
        return str(self.task_id)


class Subtask(models.Model):
    """A resumable part of a task.

    `content`: the part, as `split` defined it. `state`, `blob`: the last checkpoint, JSON and bytes.
    """

    subtask_id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="subtasks")
    subtask_status = models.PositiveSmallIntegerField(choices=TaskStatus.choices, default=TaskStatus.PENDING)
    create_time = models.DateTimeField()
    end_time = models.DateTimeField(null=True)
    result_id = models.UUIDField(null=True)
    content = models.JSONField(default=dict, decoder=StoredJsonDecoder)
    state = models.JSONField(default=dict, decoder=StoredJsonDecoder)
    blob = models.BinaryField(null=True)
    parts_done = models.PositiveBigIntegerField(default=0)
    parts_all = models.PositiveBigIntegerField(default=1)
    count_errors = models.PositiveBigIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_time = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=("subtask_status", "subtask_id"),
                condition=models.Q(subtask_status__in=UNFINISHED),
                name="subtask_unfinished",
            ),
            models.Index(
                fields=("task", "subtask_id"),
                condition=models.Q(subtask_status__in=UNFINISHED),
                name="subtask_next",
            ),
        ]

    def __str__(self) -> str:
        return str(self.subtask_id)


class TaskError(models.Model):
    """An error of a task, mostly of one object that the task could not handle. It contains no biometric data."""

    error_id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="errors")
    subtask = models.ForeignKey(Subtask, on_delete=models.CASCADE, null=True, related_name="errors")
    error_code = models.PositiveIntegerField()
    description = models.CharField(max_length=64)
    detail = models.CharField(max_length=1024)
    additional_info = models.CharField(max_length=128, blank=True, default="")
    error_time = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=("error_time",), name="task_error_time")]

    def __str__(self) -> str:
        return f"{self.error_code} {self.additional_info}".strip()


class SubtaskOutput(models.Model):
    """A piece of the result of a running subtask. `items`: JSON values, separated by commas."""

    subtask = models.ForeignKey(Subtask, on_delete=models.CASCADE, related_name="outputs")
    items = models.TextField()

    def __str__(self) -> str:
        return f"{self.subtask_id}/{self.pk}"


class Schedule(AccountOwned):
    """A cron expression that creates tasks.

    `account`, `content`, `notification_policy`, `creator_id`, `token_id`, `remote_address`: those of its tasks. Each
    task counts relative times from its own creation. `time_zone`: the zone of `trigger`, which `trigger_timezone`
    denoted when the schedule was written. `next_run_at`: None while stopped.
    """

    account = models.ForeignKey(  # type: ignore[assignment]  # nullable, unlike that of other rows
        Account, on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    schedule_id = models.BigAutoField(primary_key=True)
    create_time = models.DateTimeField()
    last_update_time = models.DateTimeField()
    status = models.PositiveSmallIntegerField(choices=ScheduleStatus.choices, default=ScheduleStatus.STARTED)
    trigger = models.CharField(max_length=128)
    trigger_timezone = models.CharField(max_length=16, choices=CronZone.choices, default=CronZone.UTC)
    time_zone = models.CharField(max_length=64, default="UTC")
    task_type = models.PositiveIntegerField()
    content = models.JSONField(default=dict, decoder=StoredJsonDecoder)
    description = models.CharField(max_length=128, blank=True, default="")
    result_ttl_days = models.SmallIntegerField(null=True)
    notification_policy = models.JSONField(null=True, decoder=StoredJsonDecoder)
    next_run_at = models.DateTimeField(null=True)
    creator_id = models.UUIDField(null=True)
    token_id = models.UUIDField(null=True)
    remote_address = models.CharField(max_length=64, null=True)  # noqa: DJ001 (unknown is not empty)

    class Meta(AccountOwned.Meta):
        indexes: ClassVar = [
            models.Index(fields=("account", "-schedule_id"), name="schedule_account"),
            models.Index(
                fields=("next_run_at",), condition=models.Q(status=ScheduleStatus.STARTED), name="schedule_due"
            ),
        ]

    def __str__(self) -> str:
        return str(self.schedule_id)
