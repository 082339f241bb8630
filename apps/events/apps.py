from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS
from django.db.models.signals import post_migrate

from apps.common.holdings import Check, Holding, holdings


class EventsConfig(AppConfig):
    name = "apps.events"
    verbose_name = "Events"

    def ready(self) -> None:
        from apps.events.consistency import descriptors_check, owners_check
        from apps.events.erasure import PersonEvents
        from apps.events.thin import THIN_EVENTS

        checks: dict[str, Check] = {
            "descriptors": descriptors_check,
            "owners": owners_check,
            "thin table of events": THIN_EVENTS.faults,
        }
        holdings.register(self.label, Holding(person=PersonEvents, checks=checks))
        post_migrate.connect(_partitions_make, sender=self)


def _partitions_make(*, using: str, **_: Any) -> None:
    """Make missing partitions at each start of the platform, which migrates the database."""
    from apps.events.partitions import partitions_make

    if using == DEFAULT_DB_ALIAS:
        partitions_make()
