"""Roles of the admin site: Django groups with the permissions of this table.

An account of type `admin` needs no role. Roles do not affect the API: its rights derive from account types and tokens.
"""

from collections.abc import Mapping
from typing import Any

from django.apps import AppConfig
from django.apps import apps as global_apps
from django.contrib.auth.management import create_permissions
from django.db.models import TextChoices


class Role(TextChoices):
    """The name of a group."""

    OPERATOR = "operator"  # people and events
    AUDITOR = "auditor"  # reads the audit log
    ADMINISTRATOR = "administrator"  # everything


PERMISSIONS: Mapping[Role, frozenset[str] | None] = {  # None: all
    Role.OPERATOR: frozenset(
        {
            "faces.view_face", "faces.add_face", "faces.change_face", "faces.delete_face", "faces.view_listface",
            "faces.view_list", "faces.add_list", "faces.change_list", "faces.delete_list",
            "events.view_event", "imagestore.view_storedobject",
            "people.view_person", "people.change_person",
        }
    ),
    Role.AUDITOR: frozenset({"accounts.view_auditrecord"}),
    Role.ADMINISTRATOR: None,
}  # fmt: skip


def roles_sync(sender: AppConfig, using: str, apps: Any = global_apps, **kwargs: Any) -> None:
    """Create the groups and set their permissions. Runs after `migrate`, for the last app with models.

    Django creates the permissions of this app's models before or after this function, by the order of the apps.
    """
    create_permissions(sender, verbosity=0, using=using, apps=apps)
    try:
        group_model, permission_model = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:  # migrating back to before the groups existed
        return
    permissions = {
        f"{label}.{codename}": key
        for key, label, codename in permission_model.objects.using(using).values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    for role, names in PERMISSIONS.items():
        group, _ = group_model.objects.using(using).get_or_create(name=role.value)
        group.permissions.set(permissions.values() if names is None else [permissions[name] for name in names])
