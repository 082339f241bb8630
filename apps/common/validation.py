"""Validation of query parameters and bodies, with the platform's error codes."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.parameters import plain_names

PATH = re.compile(r"\s*Path: '([^']*)'\s*$")  # at the end of a detail


def checked_query(serializer_class: type[serializers.BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """Validate the query parameters. Raises LunaError BAD_QUERY_PARAMETERS, which names the first invalid one."""
    return checked_parameters(serializer_class, request.query_params)


def checked_parameters(
    serializer_class: type[serializers.BaseSerializer[Any]], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Validate parameters outside a DRF request, as `checked_query` does."""
    try:
        return dict(kept(serializer_class).run_validation(plain_names(parameters)))  # type: ignore[arg-type]  # classes are hashable
    except serializers.ValidationError as error:
        detail: Any = error.detail
        name, problem = next(iter(detail.items()))
        raise LunaError(errors.BAD_QUERY_PARAMETERS, f"'{name}'. {describe_validation(problem, str(name))}") from error


@cache
def kept(serializer_class: type[serializers.BaseSerializer[Any]]) -> serializers.BaseSerializer[Any]:
    """Return a shared instance: copying a serializer's fields takes most of the time of a validation."""
    return serializer_class()


def checked_body(serializer_class: type[serializers.BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """Validate the JSON body.

    Raises LunaError INVALID_JSON with message and JSON path, NO_JSON for an empty body.
    """
    data = request.data
    if request.stream is None:
        raise LunaError(errors.NO_JSON)
    return checked_data(serializer_class, data)


def checked_data(
    serializer_class: type[serializers.BaseSerializer[Any]], data: Any, *, path: str = "", **context: object
) -> dict[str, Any]:
    """Validate decoded JSON; `context` is passed to the serializer.

    `path`: the place of `data` in its body. Raises LunaError INVALID_JSON.
    """
    serializer = serializer_class(context=context) if context else kept(serializer_class)  # type: ignore[arg-type]
    try:
        return dict(serializer.run_validation(data))
    except serializers.ValidationError as error:
        raise LunaError(errors.INVALID_JSON, describe_validation(error.detail, path)) from error


@contextmanager
def paths_within(member: str) -> Iterator[None]:
    """Complete the paths of INVALID_JSON by the member of the body to which they are relative."""
    try:
        yield
    except LunaError as error:
        if error.code == errors.INVALID_JSON:
            message, place, path = error.detail.rpartition("Path: '")
            error.detail = f"{message}{place}{member}.{path}" if place else error.detail
        raise


def refuse_unknown(data: Any, known: set[str]) -> None:
    """Raise DRF's ValidationError when `data` has keys that are not `known`."""
    if isinstance(data, dict) and (unknown := sorted(map(str, set(data) - known))):
        raise serializers.ValidationError({unknown[0]: "Additional properties are not allowed."})


def without_nulls(data: Any, fields: Mapping[str, serializers.Field[Any, Any, Any, Any]]) -> Any:
    """Return a JSON object without its optional members that are null: many clients serialise absent members so."""
    if not isinstance(data, dict) or None not in data.values():
        return data
    return {
        name: value for name, value in data.items() if value is not None or name not in fields or fields[name].required
    }


class StrictSerializer(serializers.Serializer[Any]):
    """A body whose unknown keys are rejected. An optional member that is null counts as absent."""

    def to_internal_value(self, data: Any) -> Any:
        refuse_unknown(data, set(self.fields))
        return super().to_internal_value(without_nulls(data, self.fields))


def describe_validation(detail: Any, path: str = "") -> str:
    """Return the first message of DRF's nested errors with its path: `message. Path: 'policies.0.limit'`."""
    if isinstance(detail, dict):
        key, value = next(iter(detail.items()))
        step = "" if key == "non_field_errors" else str(key)
        return describe_validation(value, ".".join(part for part in (path, step) if part))
    if isinstance(detail, list):
        index, value = next((index, value) for index, value in enumerate(detail) if value)
        if isinstance(value, dict | list):
            return describe_validation(value, f"{path}.{index}" if path else str(index))
        return describe_validation(value, path)
    return f"{detail} Path: '{path}'"
