"""Reads of settings, limitations, groups and the history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.configurator import platform
from apps.configurator.manual import SERVICES
from apps.configurator.models import Change, Limitation, Setting, SettingGroup

MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFilters:
    """Filters of settings. Empty ones select all. `description`: a part of it."""

    names: Sequence[str] = ()
    description: str = ""
    tags: Sequence[str] = ()
    services: Sequence[str] = ()
    groups: Sequence[str] = ()
    default: bool | None = None


@dataclass(frozen=True, slots=True)
class LimitationFacts:
    """A limitation, whose facts come from the settings door if it is the platform's own."""

    name: str
    platform: bool
    schema: Mapping[str, Any]
    services: Sequence[str]
    default_value: Any
    description: str


def facts_of(limitation: Limitation) -> LimitationFacts:
    """Return the facts of a limitation."""
    name = limitation.limitation_name
    group = platform.group_named(name) if limitation.platform else None
    if group is not None:
        return LimitationFacts(
            name,
            True,
            platform.schema_of(group),
            platform.services_of(group),
            platform.default_of(group),
            platform.description_of(group),
        )
    return LimitationFacts(
        name,
        limitation.platform,
        limitation.validation_schema,
        limitation.services,
        limitation.default_value,
        limitation.description,
    )


def value_of(setting: Setting) -> Any:
    """Return the whole value of a setting, defaults included."""
    group = platform.group_named(setting.limitation.limitation_name) if setting.limitation.platform else None
    return setting.value if group is None else platform.value_of(group, setting.value)


def setting_get(setting_id: int) -> Setting:
    """Return a setting with its limitation. Raises LunaError SETTING_NOT_FOUND."""
    found = Setting.objects.select_related("limitation").filter(pk=min(setting_id, MAX_ID)).first()
    if found is None:
        raise LunaError(errors.SETTING_NOT_FOUND, setting_id)
    return found


def limitation_get(name: str) -> Limitation:
    """Return a limitation. Raises LunaError LIMITATION_NOT_FOUND."""
    found = None if "\0" in name else Limitation.objects.filter(limitation_name=name).first()
    if found is None:
        raise LunaError(errors.LIMITATION_NOT_FOUND, name)
    return found


def limitations_get(names: Sequence[str]) -> list[Limitation]:
    """Return limitations in the order of the names. Raises LunaError LIMITATION_NOT_FOUND for the first unknown one."""
    found = {each.limitation_name: each for each in Limitation.objects.filter(limitation_name__in=names)}
    for name in names:
        if name not in found:
            raise LunaError(errors.LIMITATION_NOT_FOUND, name)
    return [found[name] for name in dict.fromkeys(names)]


def group_get(name: str) -> SettingGroup:
    """Return a group. Raises LunaError GROUP_NOT_FOUND."""
    found = None if "\0" in name else SettingGroup.objects.filter(group_name=name).first()
    if found is None:
        raise LunaError(errors.GROUP_NOT_FOUND, name)
    return found


def groups_get(names: Sequence[str], *, status: int = 404) -> list[SettingGroup]:
    """Return groups in the order of the names. Raises LunaError GROUPS_NOT_FOUND for the first unknown one."""
    found = {each.group_name: each for each in SettingGroup.objects.filter(group_name__in=names)}
    for name in names:
        if name not in found:
            raise LunaError(errors.GROUPS_NOT_FOUND, name, status=status)
    return [found[name] for name in dict.fromkeys(names)]


def service_names() -> list[str]:
    """Return the names of all services: those of LUNA PLATFORM, and those that limitations name."""
    own = Limitation.objects.filter(platform=False).values_list("services", flat=True)
    return sorted({*SERVICES, *(name for names in own for name in names)})


def limitations_of_services(services: Sequence[str]) -> list[str]:
    """Return the names of the limitations that one of the services uses."""
    return [
        each.limitation_name
        for each in Limitation.objects.all()
        if not set(services).isdisjoint(facts_of(each).services)
    ]


def settings_find(filters: SettingFilters) -> QuerySet[Setting]:
    """Return the settings that match all filters, ordered by name, the default one first."""
    found = Setting.objects.select_related("limitation")
    if filters.names:
        found = found.filter(limitation__limitation_name__in=filters.names)
    if filters.description:
        found = found.filter(description__icontains=filters.description)
    if filters.tags:
        found = found.filter(tags__overlap=list(filters.tags))
    if filters.services:
        found = found.filter(limitation__limitation_name__in=limitations_of_services(filters.services))
    if filters.groups:
        found = found.filter(
            limitation__in=Limitation.objects.filter(setting_groups__group_name__in=filters.groups).values("pk")
        )
    if filters.default is not None:
        found = found.filter(is_default=filters.default)
    return found


def limitations_find(
    *, names: Sequence[str] = (), description: str = "", services: Sequence[str] = (), groups: Sequence[str] = ()
) -> list[LimitationFacts]:
    """Return the facts of the limitations that match all filters, ordered by name."""
    found = Limitation.objects.all()
    if names:
        found = found.filter(limitation_name__in=names)
    if groups:
        found = found.filter(setting_groups__group_name__in=groups).distinct()
    facts = [facts_of(each) for each in found]
    return [
        each
        for each in facts
        if description.lower() in each.description.lower()
        and (not services or not set(services).isdisjoint(each.services))
    ]


def groups_find(*, names: Sequence[str] = (), limitations: Sequence[str] = ()) -> QuerySet[SettingGroup]:
    """Return the groups of these names, or with one of these limitations."""
    found = SettingGroup.objects.prefetch_related("limitations")
    if names:
        found = found.filter(group_name__in=names)
    if limitations:
        found = found.filter(
            pk__in=SettingGroup.objects.filter(limitations__limitation_name__in=limitations).values("pk")
        )
    return found


def service_settings(*, service: str, tags: Mapping[str, str]) -> list[Setting]:
    """Return the setting of each limitation of a service: the tagged one if its name has a tag, else the default.

    Raises LunaError SERVICE_NOT_FOUND, LIMITATION_NOT_FOUND, SETTING_TAG_NOT_FOUND.
    """
    if service not in service_names():
        raise LunaError(errors.SERVICE_NOT_FOUND, service)
    limitations_get(list(tags))
    chosen: dict[str, Setting] = {}
    tagged = set()
    for each in settings_find(SettingFilters(services=[service])):
        name = each.limitation.limitation_name
        if tags.get(name) in each.tags:
            chosen[name] = each
            tagged.add(name)
        elif each.is_default and name not in tagged:
            chosen[name] = each
    for name, tag in tags.items():
        if (
            name not in tagged
            and not Setting.objects.filter(limitation__limitation_name=name, tags__contains=[tag]).exists()
        ):
            raise LunaError(errors.SETTING_TAG_NOT_FOUND, tag, name)
    return list(chosen.values())


def change_get(change_id: int) -> Change | None:
    """Return a change, or None."""
    return Change.objects.filter(pk=min(change_id, MAX_ID)).first()
