"""The lock of all changes of settings, their history, and the states of objects that it keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common.times import utc_now
from apps.configurator.choices import Kind
from apps.configurator.models import Change, Limitation, Setting, SettingGroup, State

OWN_HISTORY = "settings"  # of a limitation: each of them has its own history
OBJECT_TYPES = {Kind.SETTING: "setting", Kind.LIMITATION: "limitation", Kind.GROUP: "setting_group"}


class ChangedSinceError(Exception):
    """An object has changed since the operator has read it. Nothing was written."""


@contextmanager
def changing() -> Iterator[None]:
    """Hold the lock of all changes within a transaction; when it commits, processes find a new version."""
    with transaction.atomic():
        State.objects.get_or_create(pk=1)
        State.objects.select_for_update().get(pk=1)
        yield
        State.objects.filter(pk=1).update(version=F("version") + 1)


def setting_state(setting: Setting) -> dict[str, Any]:
    """Return what `setting_restore` needs."""
    return {
        "id": setting.pk,
        "name": setting.limitation.limitation_name,
        "value": setting.value,
        "description": setting.description,
        "tags": setting.tags,
        "is_default": setting.is_default,
    }


def limitation_state(limitation: Limitation) -> dict[str, Any]:
    """Return what restores a limitation with its settings and groups."""
    return {
        "name": limitation.limitation_name,
        "validation_schema": limitation.validation_schema,
        "services": limitation.services,
        "default_value": limitation.default_value,
        "description": limitation.description,
        "groups": sorted(limitation.setting_groups.values_list("group_name", flat=True)),
        "settings": [setting_state(each) for each in limitation.settings.select_related("limitation").order_by("pk")],
    }


def group_state(group: SettingGroup) -> dict[str, Any]:
    """Return what restores a group."""
    return {
        "name": group.group_name,
        "description": group.description,
        "limitations": sorted(group.limitations.values_list("limitation_name", flat=True)),
    }


def state_of(kind: str, key: str) -> dict[str, Any] | None:
    """Return the present state of an object of the history, or None if it does not exist."""
    if kind == Kind.SETTING:
        setting = Setting.objects.select_related("limitation").filter(pk=int(key)).first()
        return None if setting is None else setting_state(setting)
    if kind == Kind.LIMITATION:
        limitation = Limitation.objects.filter(limitation_name=key).first()
        return None if limitation is None else limitation_state(limitation)
    group = SettingGroup.objects.filter(group_name=key).first()
    return None if group is None else group_state(group)


def fingerprint(kind: str, key: object) -> str:
    """Return a checksum of an object's state, which a later write compares (`unchanged_check`)."""
    state = state_of(kind, str(key)) or {}
    own = {name: value for name, value in state.items() if name != OWN_HISTORY}
    return sha256(orjson.dumps(own, option=orjson.OPT_SORT_KEYS)).hexdigest()


def unchanged_check(kind: str, key: object, seen: str | None) -> None:
    """Raise ChangedSinceError if `seen` is no longer the fingerprint of an object. None: no check."""
    if seen is not None and seen != fingerprint(kind, key):
        raise ChangedSinceError


def version() -> int:
    """Return the version of the stored settings, which every change raises."""
    return State.objects.filter(pk=1).values_list("version", flat=True).first() or 0


def changes_prune(*, before: datetime) -> int:
    """Remove changes made before a time from the history and return their number."""
    removed, _ = Change.objects.filter(time__lt=before).delete()
    return removed


def record(
    kind: Kind,
    *,
    key: object,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    actor: Actor | None,
    undoes: Change | None = None,
) -> None:
    """Write a change into the history and the audit log. Nothing is written if nothing has changed."""
    if before == after:
        return
    state = after or before or {}
    Change.objects.create(
        time=utc_now(),
        actor_id=None if actor is None else actor.account_id,
        kind=kind,
        name=state["name"],
        key=str(key),
        before=before,
        after=after,
        undoes=undoes,
    )
    action = "create" if before is None else "delete" if after is None else "update"
    audit_write(action=action, object_type=OBJECT_TYPES[kind], object_id=key, actor=actor)
