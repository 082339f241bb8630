"""Examples of bodies in the OpenAPI document, built from their schemas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]
TYPES: Mapping[str, Any] = {"string": str, "integer": int, "number": (int, float), "array": list, "object": dict}
COMPONENT = "#/components/schemas/"
ID = "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e"
BY_FORMAT = {
    "uuid": ID,
    "date-time": "2026-03-14T09:26:53.589793Z",
    "email": "ada@example.com",
    "uri": "https://example.com",
}
# Members whose meaning an example should show. Others are built from type and bounds.
BY_NAME: Mapping[str, Any] = {
    "account_type": "user",
    "age": 36,
    "avatar": f"/6/samples/faces/{ID}",
    "city": "London",
    "content_type": "image/jpeg",
    "description": "entrance of the main building",
    "external_id": "employee-17",
    "external_url": f"https://luna.example.com/6/objects/{ID}",
    "filename": "portrait.jpg",
    "label": "employees",
    "error": {
        "error_code": 0,
        "desc": "Success",
        "detail": "Success",
        "link": "https://luna.example.com/docs/errors#0",
    },
    "login": "ada@example.com",
    "latitude": 51.5072,
    "longitude": -0.1276,
    "similarity": 0.9712,
    "score": 0.9934,
    "source": "entrance camera",
    "tags": ["employee"],
    "track_id": "track-42",
    "url": f"/6/objects/{ID}",
    "user_data": "Ada Lovelace",
}


def body_example(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """Return an example of a body. A component's own `example` is used where it has one."""
    return _Builder(components).value(schema, "")


@dataclass(slots=True)
class _Builder:
    """`open`: the components that are being built. A component inside of itself is left out."""

    components: Mapping[str, Schema]
    open: list[str] = field(default_factory=list)

    def value(self, schema: Schema, name: str) -> Any:
        schema = schema["allOf"][0] if "allOf" in schema else schema
        if "$ref" in schema:
            component = schema["$ref"].removeprefix(COMPONENT)
            self.open.append(component)
            value = self.value(self.components[component], name)
            self.open.pop()
            return value
        if "example" in schema:
            return schema["example"]
        if _fits(BY_NAME.get(name), schema):
            return BY_NAME[name]
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("type") == "object":
            members = schema.get("properties", {})
            return {
                key: None if self._recurs(each) else self.value(each, key)
                for key, each in members.items()
                if each.get("nullable") or not self._recurs(each)
            }
        if schema.get("type") == "array":
            items = schema["items"]
            return [] if self._recurs(items) else [self.value(items, name.removesuffix("s"))]
        return _scalar(schema)

    def _recurs(self, schema: Schema) -> bool:
        schema = schema["allOf"][0] if "allOf" in schema else schema
        return schema.get("$ref", "").removeprefix(COMPONENT) in self.open


def _fits(value: Any, schema: Schema) -> bool:
    if value is None or ("enum" in schema and value not in schema["enum"]):
        return False
    if isinstance(value, dict) and not value.keys() >= {*schema.get("required", ())}:
        return False
    return isinstance(value, TYPES.get(schema.get("type", ""), ()))


def _scalar(schema: Schema) -> Any:
    """Return the default, a bound or a text of the format; null for a nullable number and for any JSON."""
    if schema.get("default") is not None:
        return schema["default"]
    match schema.get("type"):
        case "string":
            return BY_FORMAT.get(schema.get("format", ""), "text"[: schema.get("maxLength", 4)])
        case "boolean":
            return True
        case "integer":
            return schema.get("minimum", 1)
        case "number":
            return schema.get("maximum", 0.5)
        case _:
            return None
