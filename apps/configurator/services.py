"""Writes of settings, limitations and groups. Every write holds one lock, and is part of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.configurator import platform, selectors
from apps.configurator.choices import Kind
from apps.configurator.connections import connections_check
from apps.configurator.history import (
    changing,
    group_state,
    limitation_state,
    record,
    setting_state,
    unchanged_check,
)
from apps.configurator.models import Limitation, Setting, SettingGroup
from apps.configurator.values import json_check, schema_check, value_check


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDraft:
    """A setting as a client sends it. `value`: whole, or for the platform's own settings what differs from defaults."""

    name: str
    value: Any
    description: str = ""
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitationDraft:
    """A limitation of other software as a client sends it."""

    name: str
    schema: Any
    services: Sequence[str]
    default_value: Any
    description: str = ""


def setting_check(*, draft: SettingDraft) -> int:
    """Check value and connections of a setting without storing it, and return the number of connections.

    Raises LunaError LIMITATION_NOT_FOUND, INVALID_JSON, SERVICE_CONNECTION_FAILED.
    """
    limitation = selectors.limitation_get(draft.name)
    return connections_check(_whole(limitation, value_checked(limitation, draft.value)))


def setting_create(*, draft: SettingDraft, check: bool = False, actor: Actor | None = None) -> Setting:
    """Create a setting with tags.

    `check`: whether to connect to the addresses in the value first. Raises LunaError LIMITATION_NOT_FOUND,
    INVALID_JSON, SETTING_EXISTS, SERVICE_CONNECTION_FAILED.
    """
    if check:
        setting_check(draft=draft)
    with changing():
        limitation = selectors.limitation_get(draft.name)
        if not draft.tags:
            raise LunaError(errors.INVALID_JSON, "a setting needs at least one tag. Path: 'tags'")
        _require_free_tags(limitation, draft.tags)
        now = utc_now()
        setting = Setting.objects.create(
            limitation=limitation,
            value=value_checked(limitation, draft.value),
            description=draft.description,
            tags=list(draft.tags),
            create_time=now,
            last_update_time=now,
        )
        record(Kind.SETTING, key=setting.pk, before=None, after=setting_state(setting), actor=actor)
    return setting


def setting_replace(
    *,
    setting_id: int,
    draft: SettingDraft,
    check: bool = False,
    seen: str | None = None,
    actor: Actor | None = None,
) -> Setting:
    """Replace a setting. The default setting keeps its name and has no tags.

    `seen`: the fingerprint of the setting that the operator has edited. Raises ChangedSinceError if it has changed
    since; LunaError SETTING_NOT_FOUND, DEFAULT_SETTING_NAME_FIXED, DEFAULT_SETTING_TAGS_FIXED, and those of
    `setting_create`.
    """
    if check:
        selectors.setting_get(setting_id)
        setting_check(draft=draft)
    with changing():
        setting = selectors.setting_get(setting_id)
        unchanged_check(Kind.SETTING, setting_id, seen)
        before = setting_state(setting)
        if setting.is_default:
            if draft.name != setting.limitation.limitation_name:
                raise LunaError(errors.DEFAULT_SETTING_NAME_FIXED)
            if draft.tags:
                raise LunaError(errors.DEFAULT_SETTING_TAGS_FIXED)
        elif not draft.tags:
            raise LunaError(errors.INVALID_JSON, "a setting needs at least one tag. Path: 'tags'")
        limitation = selectors.limitation_get(draft.name)
        _require_free_tags(limitation, draft.tags, besides=setting)
        setting.limitation = limitation
        setting.value = value_checked(limitation, draft.value)
        setting.description, setting.tags = draft.description, list(draft.tags)
        if (after := setting_state(setting)) != before:
            setting.last_update_time = utc_now()
            setting.save()
            record(Kind.SETTING, key=setting.pk, before=before, after=after, actor=actor)
    return setting


def setting_delete(*, setting_id: int, actor: Actor | None = None) -> None:
    """Delete a setting with tags. Raises LunaError SETTING_NOT_FOUND, DEFAULT_SETTING_NOT_REMOVABLE."""
    with changing():
        setting = selectors.setting_get(setting_id)
        if setting.is_default:
            raise LunaError(errors.DEFAULT_SETTING_NOT_REMOVABLE, setting.limitation.limitation_name)
        before = setting_state(setting)
        setting.delete()
        record(Kind.SETTING, key=setting_id, before=before, after=None, actor=actor)


def settings_reset(*, names: Sequence[str], actor: Actor | None = None) -> list[str]:
    """Give default settings their default values and return the names of those that had others.

    Raises LunaError LIMITATION_NOT_FOUND.
    """
    reset = []
    with changing():
        limitations = selectors.limitations_get(names)
        for setting in Setting.objects.select_related("limitation").filter(is_default=True, limitation__in=limitations):
            before = setting_state(setting)
            setting.value = {} if setting.limitation.platform else setting.limitation.default_value
            if setting.value != before["value"]:
                setting.last_update_time = utc_now()
                setting.save()
                reset.append(setting.limitation.limitation_name)
                record(Kind.SETTING, key=setting.pk, before=before, after=setting_state(setting), actor=actor)
    return reset


def limitation_create(*, draft: LimitationDraft, groups: Sequence[str] = (), actor: Actor | None = None) -> Limitation:
    """Create a limitation with its default setting.

    Raises LunaError LIMITATION_EXISTS, INVALID_JSON, GROUPS_NOT_FOUND.
    """
    _check_limitation(draft)
    with changing():
        if Limitation.objects.filter(limitation_name=draft.name).exists():
            raise LunaError(errors.LIMITATION_EXISTS, draft.name)
        linked = selectors.groups_get(groups, status=400)
        limitation = Limitation(limitation_name=draft.name)
        limitation_write(limitation, draft)
        limitation.setting_groups.set(linked)
        default_setting_create(limitation=limitation, value=draft.default_value)
        record(Kind.LIMITATION, key=draft.name, before=None, after=limitation_state(limitation), actor=actor)
    return limitation


def limitation_replace(
    *,
    name: str,
    draft: LimitationDraft,
    groups: Sequence[str] | None = None,
    seen: str | None = None,
    actor: Actor | None = None,
) -> Limitation:
    """Replace a limitation; its settings must be valid for the new schema. `groups`: None keeps them.

    `seen`: as of `setting_replace`. Raises ChangedSinceError; LunaError LIMITATION_NOT_FOUND, ACCESS_DENIED for one of
    the platform, LIMITATION_EXISTS, INVALID_JSON, GROUPS_NOT_FOUND.
    """
    with changing():
        limitation = _own(name)
        unchanged_check(Kind.LIMITATION, name, seen)
        _check_limitation(draft)
        before = limitation_state(limitation)
        if draft.name != name and Limitation.objects.filter(limitation_name=draft.name).exists():
            raise LunaError(errors.LIMITATION_EXISTS, draft.name)
        for setting in limitation.settings.all():
            value_check(setting.value, draft.schema, f"settings.{setting.pk}.value")
        if groups is not None:
            limitation.setting_groups.set(selectors.groups_get(groups, status=400))
        limitation_write(limitation, draft)
        if draft.name == name:
            record(Kind.LIMITATION, key=name, before=before, after=limitation_state(limitation), actor=actor)
        else:  # the history is by name
            record(Kind.LIMITATION, key=name, before=before, after=None, actor=actor)
            record(Kind.LIMITATION, key=draft.name, before=None, after=limitation_state(limitation), actor=actor)
    return limitation


def limitation_delete(*, name: str, actor: Actor | None = None) -> None:
    """Delete a limitation with its settings.

    Raises LunaError LIMITATION_NOT_FOUND, ACCESS_DENIED for one of the platform.
    """
    with changing():
        limitation = _own(name)
        before = limitation_state(limitation)
        limitation.delete()
        record(Kind.LIMITATION, key=name, before=before, after=None, actor=actor)


def group_create(
    *, name: str, description: str = "", limitations: Sequence[str] = (), actor: Actor | None = None
) -> SettingGroup:
    """Create a group. Raises LunaError GROUP_EXISTS, LIMITATION_NOT_FOUND."""
    with changing():
        if SettingGroup.objects.filter(group_name=name).exists():
            raise LunaError(errors.GROUP_EXISTS, name)
        linked = selectors.limitations_get(limitations)
        group = SettingGroup.objects.create(group_name=name, description=description)
        group.limitations.set(linked)
        record(Kind.GROUP, key=name, before=None, after=group_state(group), actor=actor)
    return group


def group_update(
    *,
    name: str,
    description: str | None = None,
    limitations: Sequence[str] | None = None,
    seen: str | None = None,
    actor: Actor | None = None,
) -> SettingGroup:
    """Change description or limitations of a group; None keeps them.

    `seen`: as of `setting_replace`. Raises ChangedSinceError; LunaError GROUP_NOT_FOUND, LIMITATION_NOT_FOUND.
    """
    with changing():
        group = selectors.group_get(name)
        unchanged_check(Kind.GROUP, name, seen)
        before = group_state(group)
        if description is not None:
            group.description = description
            group.save()
        if limitations is not None:
            group.limitations.set(selectors.limitations_get(limitations))
        record(Kind.GROUP, key=name, before=before, after=group_state(group), actor=actor)
    return group


def groups_link(
    *, groups: Sequence[str], limitations: Sequence[str], unlink: bool = False, actor: Actor | None = None
) -> None:
    """Link limitations to groups, or unlink them. Raises LunaError GROUPS_NOT_FOUND, LIMITATION_NOT_FOUND."""
    with changing():
        named = selectors.limitations_get(limitations)
        for group in selectors.groups_get(groups):
            before = group_state(group)
            (group.limitations.remove if unlink else group.limitations.add)(*named)
            record(Kind.GROUP, key=group.group_name, before=before, after=group_state(group), actor=actor)


def group_delete(*, name: str, actor: Actor | None = None) -> None:
    """Delete a group; its limitations stay. Raises LunaError GROUP_NOT_FOUND."""
    with changing():
        group = selectors.group_get(name)
        before = group_state(group)
        group.delete()
        record(Kind.GROUP, key=name, before=before, after=None, actor=actor)


def default_setting_create(*, limitation: Limitation, value: Any) -> Setting:
    """Create the default setting of a new limitation."""
    now = utc_now()
    return Setting.objects.create(
        limitation=limitation,
        value=value,
        description=limitation.description,
        is_default=True,
        create_time=now,
        last_update_time=now,
    )


def value_checked(limitation: Limitation, value: Any) -> Any:
    """Return what is stored of a valid value. Raises LunaError INVALID_JSON."""
    json_check(value, "value")
    group = platform.group_named(limitation.limitation_name) if limitation.platform else None
    if group is not None:
        return platform.difference(group, value)
    value_check(value, limitation.validation_schema)
    return value


def _whole(limitation: Limitation, stored: Any) -> Any:
    group = platform.group_named(limitation.limitation_name) if limitation.platform else None
    return stored if group is None else platform.value_of(group, stored)


def _require_free_tags(limitation: Limitation, tags: Sequence[str], besides: Setting | None = None) -> None:
    others = limitation.settings.all() if besides is None else limitation.settings.exclude(pk=besides.pk)
    taken = {tag for each in others.filter(tags__overlap=list(tags)) for tag in each.tags} if tags else ()
    for tag in tags:
        if tag in taken:
            raise LunaError(errors.SETTING_EXISTS, limitation.limitation_name, tag)


def _own(name: str) -> Limitation:
    limitation = selectors.limitation_get(name)
    if limitation.platform:
        raise LunaError(errors.ACCESS_DENIED)
    return limitation


def _check_limitation(draft: LimitationDraft) -> None:
    schema_check(draft.schema)
    value_check(draft.default_value, draft.schema, "default_value")


def limitation_write(limitation: Limitation, draft: LimitationDraft) -> None:
    """Save a limitation with the values of a draft that has been checked."""
    limitation.limitation_name, limitation.description = draft.name, draft.description
    limitation.validation_schema, limitation.services = draft.schema, list(draft.services)
    limitation.default_value = draft.default_value
    limitation.save()
