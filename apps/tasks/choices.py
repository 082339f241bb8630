from django.db import models


class TaskKind(models.IntegerChoices):
    """The numbers of the platform's types of tasks. Numbers of user types begin at 1000."""

    UNKNOWN = 0
    LINKER = 1
    CLUSTERING = 2
    REPORTER = 3
    GC = 4
    ADDITIONAL_EXTRACT = 5
    CROSS_MATCH = 6
    ROC = 7
    EXPORTER = 8
    ESTIMATOR = 9
    LAMBDA = 10


class TaskStatus(models.IntegerChoices):
    """The status of a task or a subtask. Subtasks do not collect results."""

    PENDING = 0
    IN_PROGRESS = 1
    CANCELLED = 2
    FAILED = 3
    COLLECTING = 4
    DONE = 5


UNFINISHED = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.COLLECTING)


class ScheduleStatus(models.IntegerChoices):
    STARTED = 1
    STOPPED = 2


class CronZone(models.TextChoices):
    """The time zone of a schedule. LOCAL: that of the account."""

    UTC = "UTC"
    LOCAL = "LOCAL"
