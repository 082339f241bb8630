"""OpenAPI schemas of JSON types (`apps.common.json_types`). Typed dictionaries become components."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, build_array_type, build_object_type, resolve_type_hint
from rest_framework import serializers

from apps.common.json_types import SUFFIX, Component, Example, Format, Keys, Members, OneOf

Schema = dict[str, Any]


def is_json_type(hint: Any) -> bool:
    """Return whether `schema_of` describes a response: a typed dictionary, a list of them, or an annotated type."""
    if get_origin(hint) is list:
        return is_typeddict(get_args(hint)[0])
    return is_typeddict(hint) or get_origin(hint) is Annotated


def schema_of(auto_schema: AutoSchema, hint: Any) -> Schema:
    """Return the schema of a type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return schema_of(auto_schema, args[0])
    if origin is Annotated:
        return _annotated(auto_schema, args[0], args[1:])
    if is_typeddict(hint):
        return _reference(auto_schema, hint.__name__.removesuffix(SUFFIX), lambda: _object(auto_schema, hint))
    if origin in (Union, UnionType):
        (inner,) = (arg for arg in args if arg is not NoneType)
        return _nullable(schema_of(auto_schema, inner))
    if origin is list:
        return dict(build_array_type(schema_of(auto_schema, args[0])))
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(auto_schema, args[1])}
    return {} if hint in (object, Any) else dict(resolve_type_hint(hint))


def _annotated(auto_schema: AutoSchema, hint: Any, notes: tuple[Any, ...]) -> Schema:
    schema = schema_of(auto_schema, hint)
    for note in notes:
        match note:
            case str():
                schema = _described(schema, note)
            case OneOf(values=values, text=text):
                schema |= {"enum": list(values)} | ({"description": text} if text else {})
            case Example(value=value):
                schema |= {"example": value}
            case Format(name=name):
                schema |= {"format": name}
            case Keys(names=names):
                schema = {"type": "object", "properties": dict.fromkeys(names, schema["additionalProperties"])}
            case Component(name=name):
                schema = {"$ref": f"#/components/schemas/{name}"}
            case Members(component=name):
                schema = _reference(auto_schema, name, partial(_table, auto_schema, note))
            case type() if issubclass(note, serializers.Serializer):
                schema = dict(auto_schema.resolve_serializer(note, "response").ref)
    return schema


def _described(schema: Schema, text: str) -> Schema:
    return {"allOf": [schema], "description": text} if "$ref" in schema else schema | {"description": text}


def _nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"allOf": [schema], "nullable": True}
    return schema | {"nullable": True} | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def _reference(auto_schema: AutoSchema, name: str, build: Callable[[], Schema]) -> Schema:
    """Return the reference to a component, which is built at its first use."""
    component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=name)
    if component not in auto_schema.registry:
        auto_schema.registry.register(component)
        component.schema = build()
    return dict(component.ref)


def _object(auto_schema: AutoSchema, hint: Any) -> Schema:
    types = get_type_hints(hint, include_extras=True)
    return _members(auto_schema, types, hint.__required_keys__, inspect.cleandoc(hint.__doc__ or ""))


def _table(auto_schema: AutoSchema, members: Members) -> Schema:
    types = members.types()
    return _members(auto_schema, types, () if members.optional else types, members.text)


def _members(auto_schema: AutoSchema, types: Mapping[str, Any], required: Any, text: str) -> Schema:
    properties = {name: schema_of(auto_schema, each) for name, each in types.items()}
    return dict(build_object_type(properties=properties, required=required, description=text))
