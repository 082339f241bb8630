"""What became of each setting of LUNA PLATFORM: a setting of the platform, or the reason why there is none.

`manual_settings.json` has the facts: service > section > parameter. Sections of several services are stored once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from apps.common.config import GROUPS, Group

OWN_SERVICE = "luna"
_FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("manual_settings.json").read_text())
SERVICES: tuple[str, ...] = (OWN_SERVICE, *_FACTS["services"])


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a service. `setting`: ours, as `GROUP.field`; empty if there is none for the `reason`."""

    service: str
    section: str
    name: str
    setting: str
    reason: str

    @property
    def group(self) -> Group | None:
        """The group of the setting, or None."""
        name = self.setting.partition(".")[0]
        return next((group for group in GROUPS.values() if group.name == name), None)


def parameters() -> Iterator[Parameter]:
    """Yield all parameters. One with both a setting and a reason has the setting if the platform has it."""
    known = _known()
    for service, sections in _FACTS["services"].items():
        for section, content in sections.items():
            members = _FACTS["sections"][content] if isinstance(content, str) else content
            for name, target in members.items():
                setting, reason = target.get("setting", ""), target.get("reason", "")
                if setting and reason:
                    setting, reason = (setting, "") if setting in known else ("", reason)
                yield Parameter(service, section, name, setting, reason)


def _known() -> set[str]:
    return {f"{group.name}.{'.'.join(variable.path)}" for group in GROUPS.values() for variable in group.variables}


@cache
def members_elsewhere() -> Mapping[str, frozenset[tuple[str, ...]]]:
    """Return what the values of LUNA PLATFORM have and our groups of the same names lack, as paths by group."""
    known, found = _known(), dict[str, set[tuple[str, ...]]]()
    for parameter in parameters():
        path = tuple(parameter.name.split(" > "))
        if ".".join((parameter.section, *path)) not in known:
            found.setdefault(parameter.section, set()).add(path)
    return {name: frozenset(paths) for name, paths in found.items()}


@cache
def services_by_group() -> dict[str, list[str]]:
    """Return the services that have parameters of a group, by the name of the group."""
    found: dict[str, dict[str, None]] = {}
    for parameter in parameters():
        if parameter.setting:
            found.setdefault(parameter.setting.partition(".")[0], {})[parameter.service] = None
    return {name: list(services) for name, services in found.items()}


@cache
def manual_sections() -> frozenset[str]:
    """Return the names of the settings of LUNA PLATFORM, as its dumps have them."""
    return frozenset(
        name
        for parameter in parameters()
        for name in ((parameter.section,) if parameter.section != "Other" else (parameter.name, parameter.name.upper()))
    )
