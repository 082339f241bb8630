"""Validation of answers against the OpenAPI document. Members that the document does not name are errors, too."""

import re
from functools import cache
from typing import Any

from django.urls import Resolver404, resolve
from jsonschema import FormatChecker
from jsonschema.validators import Draft202012Validator

from tests.conformance.document import plain

JSON = "application/json"
ANYTHING = "*/*"
METHODS = ("get", "post", "put", "patch", "delete")


def check_answer(method: str, path: str, response: Any) -> None:
    """Check the body of a JSON answer of a documented operation."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if method.lower() not in METHODS or media_type != JSON or response.get("Content-Encoding") or response.streaming:
        return
    try:
        route = re.sub(r"<\w+:(\w+)>", r"{\1}", f"/{resolve(path).route}")
    except Resolver404:
        return
    operation = plain()["paths"].get(route, {}).get(method.lower())
    if operation is None:
        return
    documented = operation["responses"].get(str(response.status_code))
    assert documented is not None, f"{method} {route}: the document has no status {response.status_code}"
    if ANYTHING in documented.get("content", {}):  # a stored object, which happens to be JSON or is called so
        return
    found = validator(method.lower(), route, str(response.status_code)).iter_errors(response.json())
    problems = [f"{error.json_path}: {error.message[:500]}" for error in found]
    assert not problems, f"{method} {route} {response.status_code} is not as documented: {problems[:5]}"


@cache
def validator(method: str, route: str, status: str) -> Draft202012Validator:
    documented = plain()["paths"][route][method]["responses"][status]
    if "$ref" in documented:
        documented = plain()["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    return strict(documented.get("content", {}).get(JSON, {}).get("schema", {}))


def strict(schema: Any) -> Draft202012Validator:
    """Return a validator of a schema of the document, for objects without further members."""
    return Draft202012Validator(
        {"components": {"schemas": _components()}, **closed(schema)}, format_checker=FormatChecker(("uuid",))
    )


@cache
def _components() -> dict[str, Any]:
    return {name: closed(schema) for name, schema in plain()["components"]["schemas"].items()}


def closed(schema: Any) -> Any:
    """Translate a schema of OpenAPI 3.0 to JSON Schema, without further members of objects."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {name: value if name in ("enum", "example") else closed(value) for name, value in schema.items()}
    if isinstance(translated.get("properties"), dict) and translated.get("type") == "object":
        translated.setdefault("additionalProperties", False)
    if translated.pop("nullable", False) is True:
        return {"anyOf": [translated, {"type": "null"}]}
    return translated
