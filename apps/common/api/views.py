"""The base of every API view."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpRequest
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

Gate = Callable[..., None]
_gates: list[Gate] = []


def register_gate(gate: Gate) -> None:
    """Register a check of every request, after its permissions: `gate(licensed=…, method=…)`."""
    _gates.append(gate)


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

    `parts`: the optional parts of the platform (`common.parts`) that must be on. `licensed`: whether the resource needs
    a valid licence where one is required; service resources and the administration work without.

    The work of DRF's base class that is the same for all requests is done once per class: a look-up takes a tenth less
    time.
    """

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    permissions: ClassVar[dict[str, tuple[str, str] | tuple[()]]] = {}
    public: ClassVar[bool | tuple[str, ...]] = False
    resource: ClassVar[str] = ""
    parts: ClassVar[tuple[str, ...]] = ()
    licensed: ClassVar[bool] = True
    format_kwarg = None  # of DRF: no path names a format

    @classmethod
    def is_public(cls, method: str) -> bool:
        if method == "HEAD":
            method = "GET"
        return cls.public if isinstance(cls.public, bool) else method in cls.public

    @property
    def allowed_methods(self) -> list[str]:
        """The methods that the view implements, in upper case."""
        return methods_of(type(self))  # type: ignore[arg-type]  # classes are hashable

    def get_parsers(self) -> Any:
        """Return shared instances: parsers have no state."""
        return _instances(tuple(self.parser_classes))

    def get_renderers(self) -> Any:
        """Return shared instances: renderers have no state."""
        return _instances(tuple(self.renderer_classes))

    def get_permissions(self) -> Any:
        """Return shared instances: permissions have no state."""
        return _instances(tuple(self.permission_classes))

    def get_parser_context(self, http_request: HttpRequest) -> dict[str, Any]:
        """Return no context of the view. No parser reads it, and a request that refers to its view frees no memory."""
        return {}

    def get_renderer_context(self) -> dict[str, Any]:
        """Return no context, as for parsers."""
        return {}

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return no authenticator for a public method without `resource`, so that wrong credentials do not fail it."""
        request = getattr(self, "request", None)  # missing while the schema is generated
        if request is not None and not self.resource and self.is_public(str(request.method)):
            return []
        return list(_instances(tuple(self.authentication_classes)))

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Check the method before authentication. The API has no versions and throttles of DRF.

        Raises LunaError METHOD_NOT_ALLOWED, those of gates and of `part_check`, BAD_QUERY_PARAMETERS in the strict
        mode, and those of authentication and permissions.
        """
        if request.method not in self.allowed_methods:
            raise LunaError(errors.METHOD_NOT_ALLOWED)
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.perform_authentication(request)
        self.check_permissions(request)
        for gate in _gates:
            gate(licensed=self.licensed, method=str(request.method))
        for part in self.parts:
            part_check(part)
        if (unknown := self._unknown_parameters(request)) and config(QueryParameters).refuse_unknown:
            raise LunaError(errors.BAD_QUERY_PARAMETERS, f"{', '.join(unknown)}: unknown")

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add a header that names ignored query parameters."""
        response = super().finalize_response(request, response, *args, **kwargs)
        request.parser_context = {}  # it refers to the request: body and pictures would wait for the garbage collector
        if unknown := self._unknown_parameters(request):
            response.headers[HEADER] = ", ".join(unknown)
        return response

    def _unknown_parameters(self, request: Request) -> list[str]:
        if not request.META.get("QUERY_STRING") or request.method not in self.allowed_methods:
            return []
        known = known_parameters(type(self), str(request.method).lower())  # type: ignore[arg-type]  # classes are hashable
        return unknown_names(request.query_params, known)


@cache
def methods_of(view_class: type[LunaView]) -> list[str]:
    """Return the methods that a view implements, in upper case. GET answers HEAD."""
    own = {name for name in view_class.http_method_names if hasattr(view_class, name)}
    return [name.upper() for name in view_class.http_method_names if name in own or (name == "head" and "get" in own)]


@cache
def _instances(classes: tuple[type[Any], ...]) -> tuple[Any, ...]:
    return tuple(each() for each in classes)


def path_uuid(text: str, error_code: int) -> UUID:
    """Parse an id in a path. Raises LunaError `error_code` (a 404) when it is not a UUID."""
    value = parse_uuid(text)
    if value is None:
        raise LunaError(error_code, text)
    return value
