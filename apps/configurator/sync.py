"""Rows of the platform's own limitations, one for each group of the settings door."""

import logging
from typing import Any

from django.apps import AppConfig
from django.apps import apps as global_apps
from django.db.models import F

from apps.common.times import utc_now
from apps.configurator import platform

logger = logging.getLogger(__name__)


def limitations_sync(sender: AppConfig, using: str, apps: Any = global_apps, **kwargs: Any) -> None:
    """Create limitation and default setting of new groups, and delete those of groups that no longer exist.

    Runs after `migrate`. A limitation of other software that has the name of a new group becomes the platform's; its
    settings are deleted, because they have another schema.
    """
    try:
        limitation_model, setting_model = (
            apps.get_model(sender.label, "Limitation"),
            apps.get_model(sender.label, "Setting"),
        )
        state_model = apps.get_model(sender.label, "State")
    except LookupError:  # migrating back to before the tables existed
        return
    groups = platform.groups()
    limitations = limitation_model.objects.using(using)
    gone, _ = limitations.filter(platform=True).exclude(limitation_name__in=groups).delete()
    gone += limitations.filter(platform=False, limitation_name__in=groups).delete()[0]
    present = set(limitations.values_list("limitation_name", flat=True))
    now = utc_now()
    added = limitations.bulk_create(
        [limitation_model(limitation_name=name, platform=True) for name in groups if name not in present]
    )
    setting_model.objects.using(using).bulk_create(
        setting_model(
            limitation=each,
            description=platform.description_of(groups[each.limitation_name]),
            is_default=True,
            create_time=now,
            last_update_time=now,
        )
        for each in added
    )
    states = state_model.objects.using(using)
    states.get_or_create(pk=1)
    if added or gone:
        states.filter(pk=1).update(version=F("version") + 1)
