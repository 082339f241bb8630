"""Settings in the environment: the variables that set fields, and unknown variables."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from apps.common.config.errors import SettingsError
from apps.common.config.groups import GROUPS, PREFIX, Group, Settings, Variable, variable_names
from apps.common.config.sentences import looks_secret

SAME_WORD = 0.85  # similarity of names (difflib) above which an unknown variable counts as misspelt
ALIKE = 0.6


def environment_values(group: Group, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that the environment sets, nested like the group.

    An empty variable counts as not set, except for a boolean, where it is an invalid value. Raises SettingsError for a
    secret in a variable that holds none.
    """
    values: dict[str, Any] = {}
    for variable, name in variables_set(group, environment):
        text = environment[name]
        if not variable.secret and looks_secret(text):
            raise SettingsError(f"{name} must not contain a password or a private key: remove the secret.")
        *sections, last = variable.path
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = _parsed(variable, text)
    return values


def variables_set(group: Group, environment: Mapping[str, str]) -> Iterator[tuple[Variable, str]]:
    """Yield the fields of a group that the environment sets, with the variable's name."""
    for variable in group.variables:
        for name in variable.names:
            if environment.get(name) or (name in environment and variable.type is bool):
                yield variable, name
                break


def unknown_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None, bool]]:
    """Yield each unknown `LUNA_…` variable, the most similar known name, and whether it is a misspelling of it."""
    known = {name for group in GROUPS.values() for name in variable_names(group)}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            nearest = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)), None)
            close = nearest is not None and difflib.SequenceMatcher(None, name, nearest).ratio() >= SAME_WORD
            yield name, nearest, close


def _parsed(variable: Variable, text: str) -> Any:
    """Parse JSON objects and lists (lists also as comma-separated words); return other texts unchanged."""
    kind = variable.type
    is_list = get_origin(kind) in (tuple, list, frozenset)
    is_object = isinstance(kind, type) and issubclass(kind, Settings)
    if is_object or (is_list and text.lstrip().startswith("[")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [word.strip() for word in text.split(",") if word.strip()] if is_list else text
