"""OpenAPI: adds the platform's error responses and flat array parameters to each operation."""

import inspect
import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from apps.common.api.views import LunaView


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of each response with a status of 400 or above."""

    error_code = serializers.IntegerField()
    desc = serializers.CharField()
    detail = serializers.CharField()
    link = serializers.CharField()


ALWAYS = {
    400: "Invalid input; code and detail name the problem.",
    404: "The account has no such object.",
    405: "Method not allowed.",
    413: "The request is too large.",
    500: "Internal error of the platform.",
    503: "The platform is busy, or a service is unavailable: retry.",
}
WITH_CREDENTIALS = {
    401: "Wrong credentials.",
    403: "Credentials are missing, or lack the permission.",
    429: "Too many failed logins: retry later.",
}
ON_CHANGES = {
    409: "The object exists already, or was changed at the same time.",
    501: "Not supported by Luna; the detail names the part.",
}
ERROR_TEXTS = ALWAYS | WITH_CREDENTIALS | ON_CHANGES


def add_error_responses(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the error responses that operations refer to to the document's components."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses = {f"Error{status}": {"description": text, "content": content} for status, text in ERROR_TEXTS.items()}
    result["components"]["responses"] = dict(sorted(responses.items()))
    return result


class LunaSchema(AutoSchema):
    """Adds the error responses to each operation, and names operations after their views."""

    view: LunaView  # type: ignore[override]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation:
            self.resolve_serializer(ErrorSerializer, "response")
            texts = ALWAYS | WITH_CREDENTIALS | ({} if self.method == "GET" else ON_CHANGES)
            for status in sorted(texts):
                operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/Error{status}"})
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and parameter["schema"].get("type") == "array":
                    parameter |= {"style": "form", "explode": False}
        return operation

    def get_auth(self) -> list[dict[str, list[str]]]:
        if not self.view.is_public(self.method):
            return super().get_auth()
        return [*super().get_auth(), {}] if self.view.resource else []

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular takes no arguments
        """Return the description of an operation without the docstring of `LunaView`, which is for developers."""
        description: str = super().get_description()
        return "" if description == inspect.getdoc(LunaView) else description

    def get_operation_id(self) -> str:
        """Return `<method>_<view>`, with the suffix `_unversioned` for a path without a version prefix."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self.view).__name__.removesuffix("View")).lower()
        versioned = re.match(r"/\d+/", self.path)
        return f"{self.method.lower()}_{name}{'' if versioned else '_unversioned'}"

    def get_tags(self) -> list[str]:
        module = self.view.__class__.__module__.split(".")
        return [module[1] if module[0] == "apps" else module[0]]
