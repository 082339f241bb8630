"""Tasks and schedules in the admin site, in place of the pages of django-celery-beat."""

from django.contrib import admin
from django_celery_beat import models

from apps.tasks.admin import schedules, tasks

__all__ = ["schedules", "tasks"]

for model in (
    models.PeriodicTask,
    models.IntervalSchedule,
    models.CrontabSchedule,
    models.SolarSchedule,
    models.ClockedSchedule,
):
    admin.site.unregister(model)
