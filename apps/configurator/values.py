"""Checks of values and schemas that clients send for limitations of other software."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from apps.common import errors
from apps.common.config.sentences import looks_secret
from apps.common.errors import LunaError
from apps.configurator.choices import MAX_VALUE_BYTES

SECRET_NAME = re.compile(r"(password|passwd|secret|token|private_key|passphrase)$", re.IGNORECASE)
NOT_NAMES = "\0"
MAX_PROBLEMS = 100  # of one value


def json_check(value: Any, path: str) -> None:
    """Raise LunaError INVALID_JSON for a value that is too large or has a null character, which JSONB rejects."""
    text = orjson.dumps(value)
    if len(text) > MAX_VALUE_BYTES:
        raise LunaError(errors.INVALID_JSON, f"at most {MAX_VALUE_BYTES} bytes are allowed. Path: '{path}'")
    if b"\\u0000" in text and any(NOT_NAMES in each for each in _texts(value)):
        raise LunaError(errors.INVALID_JSON, f"null characters are not allowed. Path: '{path}'")


def schema_check(schema: Any) -> None:
    """Raise LunaError INVALID_JSON for what is no JSON Schema."""
    json_check(schema, "validation_schema")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise LunaError(errors.INVALID_JSON, f"{error.message}. Path: 'validation_schema'") from error


def value_check(value: Any, schema: Any, path: str = "value") -> None:
    """Check a value against a JSON Schema. References to other documents are not resolved.

    Raises LunaError INVALID_JSON, also for secrets: they are not stored.
    """
    json_check(value, path)
    if name := next(_secret_places(value), None):
        raise LunaError(
            errors.INVALID_JSON,
            f"`{name}` is a secret and must not be stored: leave it empty, and set it where the software runs. "
            f"Path: '{path}'",
        )
    validator = Draft202012Validator(schema, registry=Registry())
    try:
        error: ValidationError | None = best_match(validator.iter_errors(value))
    except Unresolvable as unresolvable:
        raise LunaError(errors.INVALID_JSON, f"{unresolvable}. Path: 'validation_schema'") from unresolvable
    except RecursionError as recursion:
        raise LunaError(errors.INVALID_JSON, "the schema refers to itself. Path: 'validation_schema'") from recursion
    if error is not None:
        place = ".".join((path, *map(str, error.absolute_path)))
        raise LunaError(errors.INVALID_JSON, f"{error.message[:500]} Path: '{place}'")


def problems(value: Any, schema: Any) -> dict[str, str]:
    """Return all problems of a value by path, with dots; none if `value_check` accepts it."""
    try:
        value_check(value, schema)
    except LunaError as error:
        found: dict[str, str] = {}
        if isinstance(error.__cause__, Unresolvable | RecursionError):
            return {"": error.detail}
        for each in islice(Draft202012Validator(schema, registry=Registry()).iter_errors(value), MAX_PROBLEMS):
            place = list(map(str, each.absolute_path))
            if each.validator == "required":  # the problem of the missing member
                missing = [name for name in each.validator_value if name not in each.instance]
                place += missing[:1]
            found.setdefault(".".join(place), each.message[:500])
        return found or {"": error.detail}
    return {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _secret_places(value: Any, name: str = "value") -> Iterator[str]:
    if isinstance(value, str):
        if looks_secret(value) or (value and SECRET_NAME.search(name)):
            yield name
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _secret_places(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _secret_places(each, name)
