"""JSON of settings, limitations and groups, as responses and dumps hold it."""

from typing import TypedDict

from apps.common.json_types import TimeJson
from apps.common.times import format_time
from apps.configurator.models import Setting, SettingGroup
from apps.configurator.selectors import LimitationFacts, value_of


class SettingJson(TypedDict):
    """A setting. Secrets are missing in its value: only the environment sets them."""

    id: int
    name: str
    value: object
    description: str
    tags: list[str]
    is_default: bool
    create_time: TimeJson
    last_update_time: TimeJson


class LimitationJson(TypedDict):
    """A limitation. In schemas of the platform, `scope` says when a change takes effect, and `env` which variables
    of the environment have precedence."""

    limitation_name: str
    validation_schema: object
    services: list[str]
    default_value: object
    description: str


class SettingGroupJson(TypedDict):
    """A group of limitations."""

    group_name: str
    description: str
    limitations: list[str]


class SettingsDumpJson(TypedDict):
    """All limitations, settings and groups."""

    platform_version: str
    limitations: list[LimitationJson]
    settings: list[SettingJson]
    groups: list[SettingGroupJson]


def setting_shape(setting: Setting) -> SettingJson:
    return {
        "id": setting.pk,
        "name": setting.limitation.limitation_name,
        "value": value_of(setting),
        "description": setting.description,
        "tags": setting.tags,
        "is_default": setting.is_default,
        "create_time": format_time(setting.create_time),
        "last_update_time": format_time(setting.last_update_time),
    }


def limitation_shape(facts: LimitationFacts) -> LimitationJson:
    return {
        "limitation_name": facts.name,
        "validation_schema": facts.schema,
        "services": list(facts.services),
        "default_value": facts.default_value,
        "description": facts.description,
    }


def group_shape(group: SettingGroup) -> SettingGroupJson:
    return {
        "group_name": group.group_name,
        "description": group.description,
        "limitations": sorted(each.limitation_name for each in group.limitations.all()),
    }
