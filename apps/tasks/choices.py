from django.db import models
from django.utils.translation import gettext_lazy as _


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

    PENDING = 0, _("Pending")
    IN_PROGRESS = 1, _("In Progress")
    CANCELLED = 2, _("Cancelled")
    FAILED = 3, _("Failed")
    COLLECTING = 4, _("Collecting")
    DONE = 5, _("Done")


UNFINISHED = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.COLLECTING)


class ScheduleStatus(models.IntegerChoices):
    STARTED = 1, _("Started")
    STOPPED = 2, _("Stopped")


class CronZone(models.TextChoices):
    """The time zone of a schedule. LOCAL: that of the account."""

    UTC = "UTC"
    LOCAL = "LOCAL"
