"""Periodic jobs of groups."""

from datetime import timedelta

from celery import shared_task
from django.db import transaction

from apps.common.times import utc_now
from apps.people.models import Person, PersonDecision
from apps.people.rows import members_gone, people_clear, people_lock, people_refresh

KEPT_DECISIONS = timedelta(days=30)


@shared_task(name="people.clean_up", ignore_result=True)
def clean_up() -> None:
    """Remove deleted events from groups, groups that are empty then, and decisions of the month before. Runs daily."""
    PersonDecision.objects.unscoped().filter(create_time__lt=utc_now() - KEPT_DECISIONS).delete()
    for account_id in Person.objects.unscoped().order_by().values_list("account_id", flat=True).distinct():
        with transaction.atomic():
            people_lock(account_id)
            if members_gone(account_id):
                people_refresh(account_id)
                people_clear(account_id)
