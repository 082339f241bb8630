"""Tasks and schedules in the admin site, in place of the pages of django-celery-beat."""

from django.contrib import admin
from django_celery_beat import models

from apps.tasks.admin import schedules, tasks
from apps.tasks.admin.roc import roc_panel
from apps.tasks.choices import TaskKind

__all__ = ["schedules", "tasks"]

tasks.PANELS[TaskKind.ROC] = roc_panel

for model in (
    models.PeriodicTask,
    models.IntervalSchedule,
    models.CrontabSchedule,
    models.SolarSchedule,
    models.ClockedSchedule,
):
    admin.site.unregister(model)
