"""The page `docs/settings.md`: what became of each setting of LUNA PLATFORM."""

from collections.abc import Iterator
from itertools import groupby

from apps.configurator.choices import Effect
from apps.configurator.manual import Parameter, parameters
from apps.configurator.platform import effect_of

HEAD = """# Settings of LUNA PLATFORM

Each parameter of the services of LUNA PLATFORM, with the setting of this platform that corresponds to it, or the reason
why it does not apply. [operations.md](operations.md) describes the settings. The page is generated from
`apps/configurator/manual_settings.json` by `make docs`.

Changes take effect:

- **live**: at the next request, within `LUNA_PULLING_TIME` (10 seconds) in every process;
- **engine**: within the same time. Each process replaces its recognition engine, and running requests finish on the
  former one;
- **restart**: at the next start of the processes;
- **environment**: only the environment sets it, and it takes effect at the next start. These are secrets, and settings
  that are read before the database.

The environment always has precedence over stored values.

| | parameters |
|---|---|
"""
NOT_APPLICABLE = "not applicable"


def effect(parameter: Parameter) -> str:
    """Return when a change of the parameter takes effect."""
    group = parameter.group
    if group is None:
        return NOT_APPLICABLE
    path = tuple(parameter.setting.split(".")[1:])
    secret = any(variable.secret for variable in group.variables if variable.path == path)
    return str((Effect.ENVIRONMENT if secret else effect_of(group)).value)


def manual_settings_page() -> str:
    """Return the page as Markdown: a table per service."""
    return HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    found = list(parameters())
    counts: dict[str, int] = {}
    for each in found:
        counts[effect(each)] = counts.get(effect(each), 0) + 1
    yield from (f"| {name} | {count} |" for name, count in sorted(counts.items()))
    for service, members in groupby(found, key=lambda each: each.service):
        yield from ("", f"## {service}", "", "| section | parameter | setting | takes effect |", "|---|---|---|---|")
        for each in members:
            target = f"`{each.setting}`" if each.setting else each.reason
            yield f"| {each.section} | `{each.name}` | {target} | {effect(each)} |"
