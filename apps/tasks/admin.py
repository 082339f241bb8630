"""The admin site without the pages of django-celery-beat: schedules get pages of their own with the tasks."""

from django.contrib import admin
from django_celery_beat import models

for model in (
    models.PeriodicTask,
    models.IntervalSchedule,
    models.CrontabSchedule,
    models.SolarSchedule,
    models.ClockedSchedule,
):
    admin.site.unregister(model)
