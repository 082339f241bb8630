"""The base of every API view."""

from typing import ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.views import APIView

from apps.common.api.fields import parse_uuid
from apps.common.errors import LunaError


class LunaView(APIView):
    """One resource.

    `permissions` maps an HTTP method to the token right that it needs, `("face", "creation")`; a method that is
    missing there is refused to tokens. `public = True` opens the resource without credentials.
    """

    permissions: ClassVar[dict[str, tuple[str, str]]] = {}
    public: ClassVar[bool] = False

    def options(self, request: Request, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        raise LunaError(12021)


def path_uuid(text: str, error_code: int) -> UUID:
    """An id of a path. One that is no UUID names nothing: raises LunaError `error_code` (a 404) with it."""
    value = parse_uuid(text)
    if value is None:
        raise LunaError(error_code, text)
    return value
