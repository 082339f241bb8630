"""Dumps of limitations, settings and groups: files that another installation loads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.config import version as platform_version
from apps.common.errors import LunaError
from apps.configurator import platform, selectors, services
from apps.configurator.choices import NAME, NAME_LENGTH, TAG, TEXT_LENGTH
from apps.configurator.history import ChangedSinceError, changing, version
from apps.configurator.manual import manual_sections
from apps.configurator.models import Change, Limitation, SettingGroup
from apps.configurator.selectors import SettingFilters
from apps.configurator.services import LimitationDraft, SettingDraft
from apps.configurator.shapes import SettingsDumpJson, group_shape, limitation_shape, setting_shape

Json = dict[str, Any]
PARTS = ("limitations", "settings", "groups")
OTHERS = ("platform_version",)


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence about a problem of a dump. `code`: of the error catalogue; None if the API has no such case."""

    text: str
    code: int | None = None


class DumpError(Exception):
    """The file is no dump, or does not fit. The message has one sentence per problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(each.text for each in problems))
        self.problems = problems


@dataclass(slots=True)
class Loaded:
    """The result of a load: names of what was written, and of settings and members without a counterpart."""

    limitations: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a load would do. `version`: of the settings to which this applies."""

    loaded: Loaded
    changes: Sequence[Change]
    version: int


def dump() -> SettingsDumpJson:
    """Return all limitations, settings and groups, without secrets."""
    return {
        "platform_version": platform_version(),
        "limitations": [limitation_shape(each) for each in selectors.limitations_find()],
        "settings": [setting_shape(each) for each in selectors.settings_find(SettingFilters())],
        "groups": [group_shape(each) for each in selectors.groups_find()],
    }


def limitations_file(services_named: Sequence[str]) -> Json:
    """Return the limitations of services, without settings. Raises LunaError SERVICE_NOT_FOUND."""
    for name in services_named:
        if name not in selectors.service_names():
            raise LunaError(errors.SERVICE_NOT_FOUND, name)
    return {"limitations": [limitation_shape(each) for each in selectors.limitations_find(services=services_named)]}


def preview(content: Any) -> Preview:
    """Load a dump, note the changes, and roll them back. Raises DumpError."""
    with transaction.atomic():
        with changing():  # the lock until the end
            last, present = Change.objects.aggregate(last=Max("pk"))["last"] or 0, version()
        loaded = load(content)
        changes = list(Change.objects.filter(pk__gt=last).order_by("pk"))
        transaction.set_rollback(True)
    return Preview(loaded, changes, present)


def load(content: Any, *, seen: int | None = None, actor: Actor | None = None) -> Loaded:
    """Load a dump, or a part of one, in one transaction. A second load of the same file changes nothing.

    `seen`: the version of the settings that the operator has seen; raises ChangedSinceError if it is another one now.

    Limitations of other software replace those of the same name. Limitations of the platform are never changed:
    values of a dump of another version must fit the present schemas. Settings and members of LUNA PLATFORM that the
    platform cannot store are skipped. Raises DumpError with all problems; then nothing has changed.
    """
    parts = _checked(content)
    result, problems = Loaded(), list[Problem]()
    with changing():
        if seen is not None and seen != version():
            raise ChangedSinceError
        # Groups are linked once the limitations are present.
        steps = (("groups", _group), ("limitations", _limitation), ("settings", _setting), ("groups", _group_linked))
        for kind, write in steps:
            for number, each in enumerate(parts[kind]):
                try:
                    write(each, result, actor)
                except LunaError as error:
                    problems.append(Problem(f"{kind}[{number}]: {error.detail}", error.code))
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    sentence = f"{kind}[{number}] is no such object ({type(error).__name__}: {error})."
                    problems.append(Problem(sentence))
        if problems:
            raise DumpError(*dict.fromkeys(problems))
    return result


def _checked(content: Any) -> dict[str, list[Json]]:
    if not isinstance(content, dict) or not set(content) & set(PARTS):
        raise DumpError(Problem(f"A dump is an object with at least one of {', '.join(PARTS)}."))
    if unknown := sorted(set(content) - {*PARTS, *OTHERS}):
        raise DumpError(Problem(f"A dump has no {unknown[0]!r}."))
    for name in PARTS:
        if not isinstance(content.get(name, []), list):
            raise DumpError(Problem(f"{name!r} must be a list."))
    return {name: content.get(name, []) for name in PARTS}


def _group(each: Json, result: Loaded, actor: Actor | None) -> None:
    name, description = _name(each["group_name"]), _text(each.get("description") or "", TEXT_LENGTH)
    if SettingGroup.objects.filter(group_name=name).exists():
        services.group_update(name=name, description=description, actor=actor)
    else:
        services.group_create(name=name, description=description, actor=actor)
    result.groups.append(name)


def _group_linked(each: Json, _: Loaded, actor: Actor | None) -> None:
    known = {*platform.groups(), *Limitation.objects.values_list("limitation_name", flat=True)}
    names = [name for name in _texts(each, "limitations") if name in known or name not in manual_sections()]
    services.group_update(name=_name(each["group_name"]), limitations=names, actor=actor)


def _limitation(each: Json, result: Loaded, actor: Actor | None) -> None:
    name = _name(each["limitation_name"])
    if platform.group_named(name) is not None:
        return
    if name in manual_sections():
        result.skipped.append(name)
        return
    draft = LimitationDraft(
        name=name,
        schema=each["validation_schema"],
        services=_texts(each, "services"),
        default_value=each["default_value"],
        description=_text(each.get("description") or ""),
    )
    if Limitation.objects.filter(limitation_name=name).exists():
        services.limitation_replace(name=name, draft=draft, actor=actor)
    else:
        services.limitation_create(draft=draft, actor=actor)
    result.limitations.append(name)


def _setting(each: Json, result: Loaded, actor: Actor | None) -> None:
    name, tags = _text(each["name"]), _texts(each, "tags")
    if not all(re.fullmatch(TAG, tag) for tag in tags) or len(set(tags)) < len(tags):
        raise ValueError("`tags` must be different texts without commas and equals signs")
    group = platform.group_named(name)
    if group is None and name in manual_sections():
        result.skipped.append(name)
        return
    if group is not None and not group.stored:
        return  # the environment of each installation sets it
    value = each["value"]
    if group is not None:
        value, skipped = platform.without_foreign(group, value)
        result.skipped += skipped
    limitation = selectors.limitation_get(name)
    found = list(limitation.settings.filter(**({"tags__overlap": tags} if tags else {"is_default": True})))
    description = each.get("description", found[0].description if found else "")
    draft = SettingDraft(name=name, value=value, description=_text(description or ""), tags=tags)
    if found:
        services.setting_replace(setting_id=found[0].pk, draft=draft, actor=actor)
    else:
        services.setting_create(draft=draft, actor=actor)
    result.settings.append(" ".join((name, *tags)))


def _name(value: Any) -> str:
    """Return a name, which is a part of a path. Raises ValueError for anything else."""
    if not re.fullmatch(NAME, _text(value)):
        raise ValueError(f"a name must not have `/` or control characters, got {value!r}")
    return str(value)


def _texts(each: Json, member: str) -> list[str]:
    """Return a list of names and tags, empty if it is missing. Raises ValueError for anything else."""
    values = each.get(member) or []
    if not isinstance(values, list):
        raise ValueError(f"`{member}` must be a list")
    return [_text(value) for value in values]


def _text(value: Any, length: int = NAME_LENGTH) -> str:
    """Return a text. Raises ValueError for anything else, and for one that is too long."""
    if not isinstance(value, str) or len(value) > length or "\0" in value:
        raise ValueError(f"a text of at most {length} characters is needed, got {value!r:.60}")
    return value
