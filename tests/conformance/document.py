"""The OpenAPI document of the code as it is, and the snapshot that is checked in."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

SNAPSHOT = Path(__file__).parent / "openapi.yaml"


@cache
def document() -> dict[str, Any]:
    generated: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return generated


def as_yaml() -> str:
    return OpenApiYamlRenderer().render(document(), renderer_context={}).decode()


@cache
def plain() -> dict[str, Any]:
    """The document as a client reads it: plain types, no lazy strings."""
    read: dict[str, Any] = yaml.load(as_yaml(), yaml.CSafeLoader)
    return read
