"""Access to Admin and Configurator: the password of an account of type `admin`."""

from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.auth.access import require_password
from apps.accounts.auth.authentication import BASIC_CHALLENGE, LunaAuthentication, unauthorized
from apps.accounts.auth.principal import Principal
from apps.accounts.choices import AccountType
from apps.common import errors
from apps.common.api.views import LunaView
from apps.common.errors import LunaError


class AdministratorAuthentication(LunaAuthentication):
    """Authentication with the errors of Admin and Configurator."""

    def principal(self, request: HttpRequest | Request) -> Principal | None:
        """Return the principal of a request.

        Raises LunaError WRONG_LOGIN_OR_PASSWORD, also without credentials, because a browser asks for them then. Raises
        the other errors of `principal_of`.
        """
        try:
            principal = super().principal(request)
        except LunaError as error:
            if error.code != errors.WRONG_CREDENTIALS:
                raise
            principal = None
        if principal is None:
            raise unauthorized(LunaError(errors.WRONG_LOGIN_OR_PASSWORD), BASIC_CHALLENGE)
        return principal


class AdministratorPermission(BasePermission):
    """Requires the password of an administrator.

    Raises LunaError TOKEN_AUTHORIZATION_DENIED for a token, CREDENTIALS_REQUIRED for a `Luna-Account-Id`,
    ADMIN_ACCOUNT_REQUIRED for an account of another type.
    """

    def has_permission(self, request: Request, view: LunaView) -> bool:  # type: ignore[override]
        if view.is_public(str(request.method)):
            return True
        if require_password(request).account_type != AccountType.ADMIN:
            raise LunaError(errors.ADMIN_ACCOUNT_REQUIRED)
        return True


class AdministratorView(LunaView):
    """A resource of Admin or Configurator. Tokens have no rights on it."""

    authentication_classes = (AdministratorAuthentication,)
    permission_classes = (AdministratorPermission,)
    licensed = False  # a licence is installed with them
