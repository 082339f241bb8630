"""Groups of settings: frozen pydantic models with a name, a scope and an environment variable per field."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

PREFIX = "LUNA_"


class Scope(StrEnum):
    """When a changed stored value takes effect."""

    START = "start"  # at the next start of the process
    ENGINE = "engine"  # when the process creates a new recognition engine
    LIVE = "live"  # at the next request


class Settings(BaseModel):
    """The base of a group, and of a JSON object in the environment. Frozen; rejects unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Section(Settings):
    """The base of a part of a group; each field has its own environment variable."""


def setting(
    default: Any, description: str, *, env: str | tuple[str, ...] = (), accepts: str = "", **limits: Any
) -> Any:
    """Declare a field.

    `env`: its environment variables in order of precedence; the default name derives from group and field.
    `accepts`: the accepted values in words, if type and limits do not describe them. `limits`: passed to pydantic's
    Field.
    """
    extra: dict[str, Any] = {"env": [env] if isinstance(env, str) else list(env)}
    if accepts:
        extra["accepts"] = accepts
    return Field(default, description=description, json_schema_extra=extra, **limits)


@dataclass(frozen=True, slots=True)
class Variable:
    """A field of a group: the environment variables that set it, and its path in the group."""

    names: tuple[str, ...]
    path: tuple[str, ...]
    field: FieldInfo

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown, logged or stored."""
        return self.type in (SecretStr, SecretBytes)

    @property
    def type(self) -> Any:
        """The type of the value; `X` for an `X | None`."""
        kinds = [each for each in get_args(self.field.annotation) if each is not NoneType]
        optional = get_origin(self.field.annotation) in (Union, UnionType) and len(kinds) == 1
        return kinds[0] if optional else self.field.annotation

    @property
    def accepts(self) -> str:
        """The accepted values in words, if the declaration has them; else empty."""
        extra: Any = self.field.json_schema_extra or {}
        return str(extra.get("accepts", ""))


@dataclass(frozen=True)
class Group:
    """A settings model with the name of its stored values and its scope."""

    name: str
    scope: Scope
    model: type[Settings]
    stored: bool = True  # False: read before the database can be reached, so the environment alone sets it

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """All fields, those of sections included."""
        return tuple(_variables(self.model, self.name, ()))

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of stored values, with `scope`, and `env` for each field."""
        schema = {**self.model.model_json_schema(), "title": self.name, "scope": self.scope.value}
        for variable in self.variables:
            self.property_schema(variable, schema).update(env=list(variable.names))
        return schema

    @staticmethod
    def property_schema(variable: Variable, schema: Mapping[str, Any]) -> Any:
        """Return the part of the group's schema that describes one field."""
        place: Any = schema
        for key in variable.path:
            place = resolved(schema, place)["properties"][key]
        return place


def resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of a schema, or the definition that it refers to."""
    return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part


GROUPS: dict[type[Settings], Group] = {}
S = TypeVar("S", bound=type[Settings])
M = TypeVar("M", bound=Settings)


def group(name: str, *, scope: Scope, stored: bool = True) -> Callable[[S], S]:
    """Register a model as the group `name`. Raises ValueError for a duplicate name or environment variable.

    `stored`: whether its values may be stored. A group that is read before the database can be reached has none.
    """

    def register(model: S) -> S:
        added = Group(name, scope, model, stored)
        taken = {variable: known.name for known in GROUPS.values() for variable in variable_names(known)}
        twice = [f"{each} ({taken[each]})" for each in variable_names(added) if each in taken]
        if twice or name in {known.name for known in GROUPS.values()}:
            raise ValueError(f"Group {name} is declared twice, or shares variables: {', '.join(twice)}.")
        GROUPS[model] = added
        return model

    return register


def ordered(values: M, name: str, low: str, high: str) -> M:
    """Return `values`. Raises ValueError when field `low` exceeds field `high`."""
    least, most = getattr(values, low), getattr(values, high)
    if least > most:
        raise ValueError(f"{name}: `{low}` must not exceed `{high}`, got {least} and {most}")
    return values


def variable_names(of: Group) -> list[str]:
    """Return every environment variable of a group."""
    return [name for variable in of.variables for name in variable.names]


def _variables(model: type[Settings], name: str, path: tuple[str, ...]) -> Iterator[Variable]:
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _variables(field.annotation, name, (*path, key))
            continue
        extra: Any = field.json_schema_extra or {}
        names: tuple[str, ...] = tuple(extra.get("env", ()))
        derived = PREFIX + "_".join((name.removeprefix(PREFIX), *path, key)).upper()
        yield Variable(names or (derived,), (*path, key), field)
