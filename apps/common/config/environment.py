"""Settings in the environment: which variables set which fields, and which variables nobody reads."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from apps.common.config.errors import SettingsError
from apps.common.config.groups import GROUPS, PREFIX, Group, Settings, Variable, variable_names
from apps.common.config.sentences import looks_secret

SAME_WORD = 0.85  # similarity from which an unknown variable is a known one misspelt
ALIKE = 0.6


def environment_values(group: Group, environment: Mapping[str, str]) -> dict[str, Any]:
    """The values that the environment sets, nested as the group is. Raises SettingsError.

    An empty variable is one that is not set, except for a switch: `no` and nothing at all must not be confused.
    """
    values: dict[str, Any] = {}
    for variable, name in variables_set(group, environment):
        text = environment[name]
        if not variable.secret and looks_secret(text):
            raise SettingsError(f"{name} holds a password or a private key, and its value is no secret: remove it.")
        *sections, last = variable.path
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = _parsed(variable, text)
    return values


def variables_set(group: Group, environment: Mapping[str, str]) -> Iterator[tuple[Variable, str]]:
    """The fields of a group that the environment sets, each with the name of its variable."""
    for variable in group.variables:
        for name in variable.names:
            if environment.get(name) or (name in environment and variable.type is bool):
                yield variable, name
                break


def unknown_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None, bool]]:
    """Each `LUNA_…` variable that sets nothing, the most similar name, and whether it is that name misspelt."""
    known = {name for group in GROUPS.values() for name in variable_names(group)}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            nearest = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)), None)
            close = nearest is not None and difflib.SequenceMatcher(None, name, nearest).ratio() >= SAME_WORD
            yield name, nearest, close


def _parsed(variable: Variable, text: str) -> Any:
    """JSON where the field holds more than one value (a list may also be words and commas), else the text itself."""
    kind = variable.type
    is_list = get_origin(kind) in (tuple, list, frozenset)
    is_object = isinstance(kind, type) and issubclass(kind, Settings)
    if is_object or (is_list and text.lstrip().startswith("[")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [word.strip() for word in text.split(",") if word.strip()] if is_list else text
