"""Logins and passwords: checked by Argon2, remembered for seconds, and refused after too many failures.

Argon2 takes some 50 ms by design. A pair that was right is therefore remembered for `LUNA_CREDENTIALS_CACHE_S` under
an HMAC of itself, together with a digest of the stored hash. The account's row is read on every request, so a changed
password, a deactivated and a deleted account lose access at once all the same.

Each process remembers the last pair of a login and address as well, and forgets it when another password comes from
there: who guesses is always held up by the count of failures that all processes share.
"""

import hashlib
import hmac
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache, caches

from apps.accounts import selectors
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError


def _digest(*parts: str) -> str:
    """A keyed digest: what lies in the cache tells nothing to who can read the cache."""
    message = "\0".join(str(len(part)) + ":" + part for part in parts).encode()
    return hmac.new(settings.SECRET_KEY.encode(), b"luna.accounts.credentials" + message, hashlib.sha256).hexdigest()


def password_verify(*, login: str, password: str, address: str | None = None) -> Account:
    """The active account of a login and its password.

    Raises LunaError WRONG_CREDENTIALS (401) when there is none, AUTHORIZATION_FAILED (429) after `LUNA_FAILED_LOGINS`
    failures of this login from this address within `LUNA_FAILED_LOGINS_WINDOW_S`.
    """
    login = login.strip().lower()
    failures = FailureCounter(login, address)
    key = f"credentials:{_digest(login, password)}"
    last, remembered = caches["process"].get(failures.key, ("", None))
    if not hmac.compare_digest(last, key):
        caches["process"].delete(failures.key)
        cached = cache.get_many((failures.key, key))
        failures.check(cached.get(failures.key, 0))
        last, remembered = "", cached.get(key)
    account = None if remembered is None else _remembered(*remembered)
    if account is None:
        account = selectors.account_by_login(login)
        if not _password_fits(account, password) or account is None or not account.is_active:
            caches["process"].delete(failures.key)
            failures.add()
            raise LunaError(errors.WRONG_CREDENTIALS)
        last, remembered = "", (account.account_id.hex, _digest(account.password))
        cache.set(key, remembered, settings.LUNA_CREDENTIALS_CACHE_S)
    if not last:
        caches["process"].set(failures.key, (key, remembered), settings.LUNA_CREDENTIALS_CACHE_S)
    return account


def _remembered(account_id: str, stamp: str) -> Account | None:
    """The account, unless its password is another by now or it may not log in."""
    account = selectors.account_find(UUID(account_id))
    fits = account is not None and account.is_active and hmac.compare_digest(stamp, _digest(account.password))
    return account if fits else None


def _password_fits(account: Account | None, password: str) -> bool:
    if account is None:
        make_password(password)  # an unknown login must take as long as a wrong password
        return False
    return check_password(password, account.password)


class FailureCounter:
    """Failed logins of one login from one address, counted in the cache that all processes share."""

    def __init__(self, login: str, address: str | None) -> None:
        self.key = f"failed-logins:{_digest(login, address or '')}"

    @staticmethod
    def check(failures: int) -> None:
        if failures >= settings.LUNA_FAILED_LOGINS:
            window_s = settings.LUNA_FAILED_LOGINS_WINDOW_S
            raise LunaError(
                errors.AUTHORIZATION_FAILED,
                f"too many failed logins, try again in {window_s} seconds",
                status=429,
                headers={"Retry-After": str(window_s)},
            )

    def add(self) -> None:
        cache.add(self.key, 0, settings.LUNA_FAILED_LOGINS_WINDOW_S)
        try:
            cache.incr(self.key)
        except ValueError:  # the window closed between the two commands
            cache.set(self.key, 1, settings.LUNA_FAILED_LOGINS_WINDOW_S)
