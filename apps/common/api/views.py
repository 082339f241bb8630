"""The base of every API view."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.common import errors
from apps.common.config import QueryParameters, config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.parameters import HEADER, unknown_names
from apps.common.parts import part_check

ALWAYS_KNOWN = frozenset({"account_id"})  # `read_scope` reads it
BY_BODY: tuple[()] = ()
"""A value of `permissions`: the required rights depend on the body, and the view checks them (`require_right`)."""


@cache
def known_parameters(view_class: Callable[..., "LunaView"], method: str) -> frozenset[str]:
    """Return the query parameters in the OpenAPI description of an operation."""
    action = getattr(view_class, method, None) or getattr(view_class, "get", None)  # GET may answer HEAD
    schema = getattr(action, "kwargs", {}).get("schema")
    if schema is None:
        return ALWAYS_KNOWN
    inspector = schema()
    inspector.view = view_class(kwargs={}, request=None)
    names: set[str] = set()
    for parameter in inspector.get_override_parameters():
        if isinstance(parameter, OpenApiParameter):
            names |= {parameter.name} if parameter.location == OpenApiParameter.QUERY else set()
        else:
            names |= set(parameter().fields)
    return ALWAYS_KNOWN | names


class LunaView(APIView):
    """A resource of the API.

    `permissions` maps an HTTP method to the token right that it requires, such as `("face", "creation")`. Tokens may
    not use a method that is missing in it. HEAD requires the right of GET.

    `public = True` opens all methods without credentials, `public = ("POST",)` only the named ones. A public view with
    a `resource` ("sdk", "iso", "liveness") still checks credentials if they are sent, and the token's `resources`.

    `parts`: the optional parts of the platform (`common.parts`) that must be on.
    """

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    permissions: ClassVar[dict[str, tuple[str, str] | tuple[()]]] = {}
    public: ClassVar[bool | tuple[str, ...]] = False
    resource: ClassVar[str] = ""
    parts: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def is_public(cls, method: str) -> bool:
        if method == "HEAD":
            method = "GET"
        return cls.public if isinstance(cls.public, bool) else method in cls.public

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return no authenticator for a public method without `resource`, so that wrong credentials do not fail it."""
        request = getattr(self, "request", None)  # missing while the schema is generated
        if request is not None and not self.resource and self.is_public(str(request.method)):
            return []
        return super().get_authenticators()

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Check the method before authentication. Raises LunaError METHOD_NOT_ALLOWED, and of `part_check`."""
        if request.method not in self.allowed_methods:
            raise LunaError(errors.METHOD_NOT_ALLOWED)
        super().initial(request, *args, **kwargs)
        for part in self.parts:
            part_check(part)
        if (unknown := self._unknown_parameters(request)) and config(QueryParameters).refuse_unknown:
            raise LunaError(errors.BAD_QUERY_PARAMETERS, f"{', '.join(unknown)}: unknown")

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add a header that names ignored query parameters."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if unknown := self._unknown_parameters(request):
            response.headers[HEADER] = ", ".join(unknown)
        return response

    def _unknown_parameters(self, request: Request) -> list[str]:
        if not request.META.get("QUERY_STRING") or request.method not in self.allowed_methods:
            return []
        known = known_parameters(type(self), str(request.method).lower())  # type: ignore[arg-type]  # classes are hashable
        return unknown_names(request.query_params, known)


def path_uuid(text: str, error_code: int) -> UUID:
    """Parse an id in a path. Raises LunaError `error_code` (a 404) when it is not a UUID."""
    value = parse_uuid(text)
    if value is None:
        raise LunaError(error_code, text)
    return value
