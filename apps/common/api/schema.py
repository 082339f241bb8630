"""OpenAPI: every operation gets the error answers of the house and flat query parameters."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of every answer from 400 on."""

    error_code = serializers.IntegerField()
    desc = serializers.CharField()
    detail = serializers.CharField()
    link = serializers.CharField()


ERROR_TEXTS = {
    400: "Bad input: the code and the detail say which.",
    401: "Wrong credentials.",
    403: "No credentials, or not allowed with these.",
    404: "No such object for this account.",
    405: "Method not allowed.",
    413: "The request is too large.",
    500: "A fault of the platform.",
    503: "Busy or a part is down: try again.",
}


class LunaSchema(AutoSchema):
    """Adds the error answers to each operation and names operations after the view."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation:
            for status, text in ERROR_TEXTS.items():
                if str(status) not in operation["responses"]:
                    response = OpenApiResponse(ErrorSerializer, text)
                    operation["responses"][str(status)] = self._get_response_for_code(response, str(status))
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and parameter["schema"].get("type") == "array":
                    parameter |= {"style": "form", "explode": False}
        return operation

    def get_tags(self) -> list[str]:
        module = self.view.__class__.__module__.split(".")
        return [module[1] if module[0] == "apps" else module[0]]
