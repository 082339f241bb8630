"""The platform's own limitations: the groups of the settings door, as schemas and values in JSON, without secrets."""

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from apps.common import errors
from apps.common.config import GROUPS, Group, Scope, SettingsError, loaded
from apps.common.config.environment import variables_set
from apps.common.errors import LunaError
from apps.configurator.choices import NAME_LENGTH, Effect
from apps.configurator.manual import OWN_SERVICE, manual_sections, members_elsewhere, services_by_group

Json = dict[str, Any]


def groups() -> dict[str, Group]:
    """Return the groups by name."""
    return {group.name: group for group in GROUPS.values()}


def group_named(name: str) -> Group | None:
    return groups().get(name)


def description_of(group: Group) -> str:
    """Return the first sentence about a group, shortened to the length of a description."""
    text = " ".join(str(group.model.__doc__).split()).partition(". ")[0].rstrip(".")
    return text if len(text) <= NAME_LENGTH else f"{text[: NAME_LENGTH - 1]}…"


def services_of(group: Group) -> list[str]:
    """Return the services of LUNA PLATFORM that have settings of the group; otherwise the platform itself."""
    return services_by_group().get(group.name, [OWN_SERVICE])


def effect_of(group: Group | None) -> Effect:
    """Return when a changed value of a group takes effect; None: a setting of other software."""
    if group is None:
        return Effect.OTHER
    if not group.stored:
        return Effect.ENVIRONMENT
    return Effect.RESTART if group.scope is Scope.START else Effect(group.scope.value)


def schema_of(group: Group) -> Json:
    """Return the JSON Schema of stored values. Members that hold secrets are left out: they cannot be stored."""
    schema: Json = group.model.model_json_schema() | {"title": group.name, "scope": group.scope.value}
    for variable in group.variables:
        Group.property_schema(variable, schema).update(env=list(variable.names))
    for path in _secrets(group):
        *sections, last = path
        place: Any = schema
        for key in sections:
            place = _resolved(schema, place["properties"][key])
        place["properties"].pop(last)
        place.get("required", []) and place.update(required=[each for each in place["required"] if each != last])
    return schema


def default_of(group: Group) -> Json:
    """Return the default values of this installation."""
    return value_of(group, {})


def value_of(group: Group, stored: Mapping[str, Any]) -> Json:
    """Return stored values over the defaults. Stored values that have become invalid are left out."""
    try:
        return _json(group, stored)
    except SettingsError:
        return _json(group, {})


def difference(group: Group, value: Any) -> Json:
    """Return what differs from the defaults, which is what is stored.

    The values must be valid alone and together with the environment. Raises LunaError INVALID_JSON.
    """
    if not isinstance(value, dict):
        raise LunaError(errors.INVALID_JSON, f"{group.name} must be an object. Path: 'value'")
    if not group.stored:
        raise LunaError(
            errors.INVALID_JSON,
            f"{group.name} cannot be stored, because it is read before the database: the environment sets it. "
            "Path: 'value'",
        )
    try:
        full = _json(group, value)
        loaded(group, value, os.environ)
    except SettingsError as error:
        raise LunaError(errors.INVALID_JSON, f"{error} Path: 'value'") from error
    return _changed(full, default_of(group))


def problems(group: Group, value: Any) -> dict[str, str]:
    """Return all problems of a value by path, with dots; none if `difference` accepts it."""
    try:
        difference(group, value)
    except LunaError as error:
        by_path = error.__cause__.by_path if isinstance(error.__cause__, SettingsError) else {}
        return dict(by_path) or {"": error.detail}
    return {}


def overridden(group: Group) -> dict[str, str]:
    """Return the variable of each field that the environment of this process sets, by the path of the field."""
    return {".".join(variable.path): name for variable, name in variables_set(group, os.environ)}


def secrets_of(group: Group) -> dict[str, bool]:
    """Return the variable of each secret of a group, and whether the environment of this process sets it."""
    given = {variable.path for variable, _name in variables_set(group, os.environ)}
    return {each.names[0]: each.path in given for each in group.variables if each.secret}


def without_foreign(group: Group, value: Any) -> tuple[Any, list[str]]:
    """Return a value of LUNA PLATFORM without the members that a group of the same name cannot store, and their names.

    These are members that the group lacks, and secrets. Members that neither platform has stay, so that they are
    refused.
    """
    if group.name not in manual_sections() or not isinstance(value, dict):
        return value, []
    kept = deepcopy(value)
    paths = sorted({*members_elsewhere().get(group.name, ()), *_secrets(group)})
    return kept, [" > ".join((group.name, *path)) for path in paths if _removed(kept, path)]


def _removed(value: Any, path: Sequence[str]) -> bool:
    """Remove a member, and sections that it leaves empty. Return whether it was present."""
    first, *rest = path
    if not isinstance(value, dict) or first not in value:
        return False
    if rest and not _removed(value[first], rest):
        return False
    if not rest or value[first] == {}:
        del value[first]
    return True


def in_use(group: Group, stored: Mapping[str, Any]) -> Json:
    """Return the values that a process with this environment uses, without secrets. Raises SettingsError."""
    return _without_secrets(group, loaded(group, stored, os.environ).model_dump(mode="json"))


def _json(group: Group, stored: Mapping[str, Any]) -> Json:
    return _without_secrets(group, loaded(group, stored, {}).model_dump(mode="json"))


def _without_secrets(group: Group, value: Json) -> Json:
    for *sections, last in _secrets(group):
        place = value
        for key in sections:
            place = place[key]
        place.pop(last)
    return value


def _secrets(group: Group) -> Iterator[tuple[str, ...]]:
    return (variable.path for variable in group.variables if variable.secret)


def _resolved(schema: Json, part: Json) -> Json:
    found: Json = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    return found


def _changed(value: Json, default: Json) -> Json:
    changed: Json = {}
    for key, each in value.items():
        if isinstance(each, dict) and isinstance(default.get(key), dict):
            each = _changed(each, default[key])
            if each:
                changed[key] = each
        elif each != default.get(key):
            changed[key] = each
    return changed
