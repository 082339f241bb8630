"""The settings section of `docs/operations.md`, generated from the groups."""

import json
from collections.abc import Iterator
from enum import Enum
from inspect import cleandoc
from typing import Any

from pydantic import SecretBytes, SecretStr
from pydantic_core import PydanticUndefined

from apps.common.config.groups import GROUPS, PREFIX, Group, Settings, Variable
from apps.common.config.sentences import accepted

BEGIN, END = "<!-- settings: made by `manage.py settings_page` -->", "<!-- settings: end -->"


def settings_page() -> str:
    """Return the section as Markdown: a table per group with variables, defaults, accepted values and meanings."""
    groups = sorted(GROUPS.values(), key=lambda group: group.name.removeprefix(PREFIX))
    return "\n".join([BEGIN, *(line for group in groups for line in _table(group)), "", END])


def with_settings_page(text: str) -> str:
    """Return a document with the section replaced. Raises ValueError when the two markers are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the lines {BEGIN!r} and {END!r} are missing")
    return before + settings_page() + after


def _table(group: Group) -> Iterator[str]:
    yield ""
    yield f"### {group.name} ({group.scope.value})"
    yield ""
    yield cleandoc(str(group.model.__doc__))  # Python 3.13 has removed the indentation already
    yield ""
    yield "| variable | default | accepts | meaning |"
    yield "|---|---|---|---|"
    for variable in group.variables:
        names = ", ".join(f"`{name}`" for name in variable.names)
        cells = (names, _default(variable), accepted(group, variable), str(variable.field.description))
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _default(variable: Variable) -> str:
    value = variable.field.default
    if value is PydanticUndefined or value in (None, "", ()) or isinstance(value, SecretStr | SecretBytes):
        return ""
    return f"`{_text(value)}`"


def _text(value: Any) -> str:
    """Format a value as the environment holds it."""
    if isinstance(value, Settings):
        return json.dumps(value.model_dump(mode="json"))
    if isinstance(value, tuple):
        return ",".join(_text(each) for each in value)
    if isinstance(value, Enum):
        return str(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)
