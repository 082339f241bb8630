"""The base of every API view."""

from typing import ClassVar
from uuid import UUID

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid

BY_BODY: tuple[()] = ()
"""A value of `permissions`: the required rights depend on the body, and the view checks them (`require_right`)."""


class LunaView(APIView):
    """A resource of the API.

    `permissions` maps an HTTP method to the token right that it requires, such as `("face", "creation")`. Tokens may
    not use a method that is missing in it. HEAD requires the right of GET.

    `public = True` opens all methods without credentials, `public = ("POST",)` only the named ones. A public view with
    a `resource` ("sdk", "iso", "liveness") still checks credentials if they are sent, and the token's `resources`.
    """

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    permissions: ClassVar[dict[str, tuple[str, str] | tuple[()]]] = {}
    public: ClassVar[bool | tuple[str, ...]] = False
    resource: ClassVar[str] = ""

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
        """Check the method before authentication. Raises LunaError METHOD_NOT_ALLOWED."""
        if request.method not in self.allowed_methods:
            raise LunaError(errors.METHOD_NOT_ALLOWED)
        super().initial(request, *args, **kwargs)


def path_uuid(text: str, error_code: int) -> UUID:
    """Parse an id in a path. Raises LunaError `error_code` (a 404) when it is not a UUID."""
    value = parse_uuid(text)
    if value is None:
        raise LunaError(error_code, text)
    return value
