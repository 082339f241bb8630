"""Logins and passwords: checked by Argon2, remembered for seconds, and refused after too many failures.

Argon2 takes some 50 ms by design. A pair that was right is therefore remembered for `LUNA_CREDENTIALS_CACHE_S` under
an HMAC of itself, together with a digest of the stored hash. The account's row is read on every request, so a changed
password, a deactivated and a deleted account lose access at once all the same.
"""

import hashlib
import hmac
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache

from apps.accounts import selectors
from apps.accounts.models import Account
from apps.common.errors import LunaError


def _digest(*parts: str) -> str:
    """A keyed digest: what lies in the cache tells nothing to who can read the cache."""
    message = "\0".join(str(len(part)) + ":" + part for part in parts).encode()
    return hmac.new(settings.SECRET_KEY.encode(), b"luna.accounts.credentials" + message, hashlib.sha256).hexdigest()


def password_verify(*, login: str, password: str, address: str | None = None) -> Account:
    """The active account of a login and its password.

    Raises LunaError 41006 (401) when there is none, 11065 (429) after `LUNA_FAILED_LOGINS` failures of this login
    from this address within `LUNA_FAILED_LOGINS_WINDOW_S`.
    """
    login = login.strip().lower()
    failures = FailureCounter(login, address)
    key = f"credentials:{_digest(login, password)}"
    cached = cache.get_many((failures.key, key))
    failures.check(cached.get(failures.key, 0))
    account = _remembered(key, cached.get(key))
    if account is None:
        account = selectors.account_by_login(login)
        if not _password_fits(account, password) or account is None or not account.is_active:
            failures.add()
            raise LunaError(41006)
        cache.set(key, (account.account_id.hex, _digest(account.password)), settings.LUNA_CREDENTIALS_CACHE_S)
    return account


def _remembered(key: str, remembered: tuple[str, str] | None) -> Account | None:
    if remembered is None:
        return None
    account_id, stamp = remembered
    account = selectors.account_find(UUID(account_id))
    if account is None or not account.is_active or not hmac.compare_digest(stamp, _digest(account.password)):
        cache.delete(key)
        return None
    return account


def _password_fits(account: Account | None, password: str) -> bool:
    if account is None:
        make_password(password)  # an unknown login must take as long as a wrong password
        return False
    return check_password(password, account.password)


class FailureCounter:
    """Failed logins of one login from one address, counted in the cache that all processes share."""

    def __init__(self, login: str, address: str | None) -> None:
        self.key = f"failed-logins:{_digest(login, address or '')}"

    def check(self, failures: int) -> None:
        if failures >= settings.LUNA_FAILED_LOGINS:
            window_s = settings.LUNA_FAILED_LOGINS_WINDOW_S
            raise LunaError(
                11065,
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
