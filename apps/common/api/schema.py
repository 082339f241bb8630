"""OpenAPI: every operation gets the error answers of the house and flat query parameters."""

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from apps.common.api.views import LunaView


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of every answer from 400 on."""

    error_code = serializers.IntegerField()
    desc = serializers.CharField()
    detail = serializers.CharField()
    link = serializers.CharField()


ALWAYS = {
    400: "Bad input: the code and the detail say which.",
    404: "No such object for this account.",
    405: "Method not allowed.",
    413: "The request is too large.",
    500: "A fault of the platform.",
    503: "Busy or a part is down: try again.",
}
WITH_CREDENTIALS = {
    401: "Wrong credentials.",
    403: "No credentials, or not allowed with these.",
    429: "Too many failed logins: try again later.",
}
ON_CHANGES = {
    409: "It is there already, or was changed meanwhile.",
    501: "Luna does not do this, on purpose: the detail says what.",
}
ERROR_TEXTS = ALWAYS | WITH_CREDENTIALS | ON_CHANGES


def add_error_responses(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Puts the error answers that operations refer to among the document's components."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses = {f"Error{status}": {"description": text, "content": content} for status, text in ERROR_TEXTS.items()}
    result["components"]["responses"] = dict(sorted(responses.items()))
    return result


class LunaSchema(AutoSchema):
    """Adds the error answers to each operation and names operations after the view."""

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

    def get_operation_id(self) -> str:
        """`<method>_<view>`; a path beside the version's prefix says so."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self.view).__name__.removesuffix("View")).lower()
        versioned = re.match(r"/\d+/", self.path)
        return f"{self.method.lower()}_{name}{'' if versioned else '_unversioned'}"

    def get_tags(self) -> list[str]:
        module = self.view.__class__.__module__.split(".")
        return [module[1] if module[0] == "apps" else module[0]]
