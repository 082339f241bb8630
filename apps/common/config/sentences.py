"""Sentences about settings: accepted values and invalid values."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from apps.common.config.groups import Group, Variable, resolved

SECRET_SHOWN = "a value that is not shown"  # noqa: S105 - the text shown instead of a secret
MAX_SHOWN_CHARACTERS = 80
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_PASSWORD_IN_URL = re.compile(r"\w+://[^/@\s]*:[^/@\s]+@")
_LIST = "a list, separated by commas, of "


def looks_secret(text: str) -> bool:
    """Return whether a text contains a private key, or a URL with a password."""
    return bool(_PRIVATE_KEY.search(text) or _PASSWORD_IN_URL.search(text))


def accepted(group: Group, variable: Variable) -> str:
    """Return the accepted values of a field in words, such as "a whole number from 1 to 100"."""
    if variable.accepts:
        return variable.accepts
    return _words(group.schema, group.property_schema(variable, group.schema))


def problems(group: Group, error: ValidationError, names: Mapping[tuple[str, ...], str]) -> dict[str, str]:
    """Return one sentence per invalid value of a group, by the path of the value with dots.

    `names`: the environment variable per path of a field that the environment sets; other values are stored ones.
    """
    by_path = {variable.path: variable for variable in group.variables}
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        location = tuple(str(part) for part in each["loc"])
        path = next((location[:end] for end in range(len(location), 0, -1) if location[:end] in by_path), None)
        if path is None:
            place = " > ".join((group.name, *location))
            reason = _unknown(group, location) if each["type"] == "extra_forbidden" else _reason(each["msg"])
            found[".".join(location)] = f"{place} {reason}." if location else f"{reason}."
            continue
        variable = by_path[path]
        name = names.get(path, " > ".join((group.name, *path)))
        shown = SECRET_SHOWN if variable.secret else _shown(each["input"])
        found[".".join(path)] = f"{name} must be {accepted(group, variable)}, got {shown}."
    return found


def _unknown(group: Group, location: tuple[str, ...]) -> str:
    known = [" > ".join(variable.path) for variable in group.variables]
    nearest = difflib.get_close_matches(" > ".join(location), known, n=1)
    return f"is not a setting: write {nearest[0]}, or remove it" if nearest else "is not a setting"


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"


def _words(root: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    schema = resolved(root, part)
    if "anyOf" in schema:
        kinds = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(_words(root, each) for each in kinds)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return "one of " + ", ".join(str(value) for value in values) if len(values) > 1 else str(values[0])
    match schema.get("type"):
        case "integer":
            return f"a whole number{_range(schema)}"
        case "number":
            return f"a number{_range(schema)}"
        case "boolean":
            return "true or false"
        case "array":
            return f"{_LIST}{_words(root, schema.get('items', {})).removeprefix('one of ')}"
        case "object":
            members = ", ".join(f'"{name}"' for name in schema.get("properties", {}))
            return f"a JSON object with {members}"
    return {"uuid": "a UUID", "path": "a path"}.get(schema.get("format", ""), "text")


def _range(schema: Mapping[str, Any]) -> str:
    low, above, high = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if above is not None:
        return f" above {above}" + (f" up to {high}" if high is not None else "")
    if low is not None:
        return f" of {low} or more"
    return f" up to {high}" if high is not None else ""
