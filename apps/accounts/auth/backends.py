"""The authentication backend of the admin site."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.accounts.auth.attempts import Attempts
from apps.accounts.auth.authentication import remote_address
from apps.accounts.auth.credentials import password_verify
from apps.accounts.auth.logins import Way, login_failed, login_succeeded
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError


class AccountBackend(ModelBackend):
    """Verifies passwords like Basic authentication, with the same rate limit. Each login leaves an audit line.

    Raises ValidationError, which the form of the login shows, for an attempt that was not verified.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Account | None:
        if username is None or password is None:
            return None
        address = remote_address(request) if request is not None else None
        try:
            account = password_verify(login=username, password=password, address=address, way=Way.ADMIN_SITE)
        except LunaError as error:
            if "Retry-After" in error.headers:
                raise ValidationError(_not_verified(error)) from error
            return None
        if not account.is_staff:
            login_failed(account=account, way=Way.ADMIN_SITE, attempts=Attempts(username, address))
            return None
        login_succeeded(account=account, way=Way.ADMIN_SITE, address=address)
        return account


def _not_verified(error: LunaError) -> str:
    seconds = {"seconds": error.headers["Retry-After"]}
    if error.code == errors.AUTHORIZATION_FAILED:
        return _("Too many failed logins from this address. Try again in %(seconds)s s.") % seconds
    return _("Too many people log in at this moment. Try again in %(seconds)s s.") % seconds
