"""The authentication backend of the admin site."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from apps.accounts.auth.authentication import remote_address
from apps.accounts.auth.credentials import password_verify
from apps.accounts.models import Account
from apps.common.errors import LunaError


class AccountBackend(ModelBackend):
    """Verifies passwords like Basic authentication, with the same rate limit."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Account | None:
        if username is None or password is None:
            return None
        address = remote_address(request) if request is not None else None
        try:
            return password_verify(login=username, password=password, address=address)
        except LunaError:
            return None
