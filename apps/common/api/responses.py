"""Responses that several resources share, and their OpenAPI shapes."""

from functools import cache
from typing import Any
from uuid import UUID

from rest_framework import serializers, status
from rest_framework.response import Response

from apps.common.links import links, location


def created(name: str, object_id: UUID | str | int, path: str, **extra: Any) -> Response:
    """Return 201 with `{<name>: id, url, external_url}` and a `Location` header."""
    body = {name: object_id if isinstance(object_id, int) else str(object_id), **links(path), **extra}
    return Response(body, status=status.HTTP_201_CREATED, headers={"Location": location(path)})


@cache
def created_serializer(name: str, **extra: serializers.Field[Any, Any, Any, Any]) -> type[serializers.Serializer[Any]]:
    """Return the OpenAPI shape of `created`."""
    fields: dict[str, Any] = {
        name: serializers.UUIDField(),
        "url": serializers.CharField(),
        "external_url": serializers.CharField(),
        **extra,
    }
    title = "".join(part.capitalize() for part in name.removesuffix("_id").split("_"))
    return type(f"{title}Created", (serializers.Serializer,), fields)


def count_serializer(name: str) -> type[serializers.Serializer[Any]]:
    """Return the OpenAPI shape of a `…/count` response."""
    title = "".join(part.capitalize() for part in name.split("_"))
    return type(f"{title}Answer", (serializers.Serializer,), {name: serializers.IntegerField()})
