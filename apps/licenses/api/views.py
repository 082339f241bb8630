"""View of `GET /1/license`, as in the Licenses service."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import require_password
from apps.accounts.choices import AccountType
from apps.common import errors
from apps.common.api.views import LunaView
from apps.common.errors import LunaError
from apps.common.validation import checked_query
from apps.licenses.selectors import license_state
from apps.licenses.shapes import TARGETS, LicenseJson, license_shape


class LicenseQuery(serializers.Serializer[Any]):
    targets = serializers.CharField(
        required=False, help_text=f"Names of features, separated by commas: {', '.join(TARGETS)}. Default: all."
    )


class LicenseView(LunaView):
    """The licence of this installation, for administrators."""

    licensed = False

    @extend_schema(
        summary="get license",
        description="Features, limits and expiry of the license. Only an account of type `admin` may read it.",
        parameters=[LicenseQuery],
        responses={200: LicenseJson},
    )
    def get(self, request: Request) -> Response:
        if require_password(request).account_type != AccountType.ADMIN:
            raise LunaError(errors.ACCESS_DENIED)
        targets = _targets(checked_query(LicenseQuery, request).get("targets"))
        state = license_state()
        if state.problem is not None:
            raise LunaError(errors.LICENSE_CLIENT_FAILED, state.problem)
        return Response(license_shape(state, targets))


def _targets(text: str | None) -> tuple[str, ...]:
    """Return the named targets. Raises LunaError BAD_LICENSE_FEATURE_TARGET for an unknown one."""
    if text is None:
        return TARGETS
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in TARGETS:
            raise LunaError(errors.BAD_LICENSE_FEATURE_TARGET, name, ", ".join(TARGETS))
    return names
