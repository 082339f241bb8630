"""Resources of lambdas, which the platform does not have."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from apps.common import errors
from apps.common.api.views import LunaView
from apps.common.errors import LunaError


class LambdasView(LunaView):
    """Every path below `/6/lambdas`. The OpenAPI document does not describe it: it is no resource of the platform."""

    schema = None
    permissions: ClassVar = {
        "GET": ("lambda", "view"),
        "POST": ("lambda", "creation"),
        "PUT": ("lambda", "modification"),
        "PATCH": ("lambda", "modification"),
        "DELETE": ("lambda", "deletion"),
    }

    def get(self, request: Request, path: str = "") -> Response:
        """Raise LunaError LAMBDA_DISABLED, whether `luna_lambda` is on or not."""
        raise LunaError(errors.LAMBDA_DISABLED)

    post = put = patch = delete = get
