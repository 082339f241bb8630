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
"""In `permissions`: which rights are needed depends on the body; the view asks for them (`access.require_right`)."""


class LunaView(APIView):
    """One resource.

    `permissions` maps an HTTP method to the token right that it needs, `("face", "creation")`, or to
    `("emit_events", "allowed")`; a method that is missing there is refused to tokens. HEAD needs what GET needs.
    `public = True` opens the resource without credentials, `public = ("POST",)` these methods only. A public view
    with a `resource` ("sdk", "iso", "liveness") still checks credentials that are sent, and the token's `resources`.
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
        """None where credentials do not matter: wrong ones must not close an open resource."""
        request = getattr(self, "request", None)  # there is none while the schema is made
        if request is not None and not self.resource and self.is_public(str(request.method)):
            return []
        return super().get_authenticators()

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """A method that the resource does not have is refused before anybody is asked who they are."""
        if request.method not in self.allowed_methods:
            raise LunaError(errors.METHOD_NOT_ALLOWED)
        super().initial(request, *args, **kwargs)


def path_uuid(text: str, error_code: int) -> UUID:
    """An id of a path. One that is no UUID names nothing: raises LunaError `error_code` (a 404) with it."""
    value = parse_uuid(text)
    if value is None:
        raise LunaError(error_code, text)
    return value
