"""Logins and passwords: checked by Argon2, remembered for seconds, and refused after too many failures.

Argon2 takes some 50 ms and 100 MB by design. A pair that was right is therefore remembered for
`LUNA_CREDENTIALS_CACHE_S` under an HMAC of itself, together with a digest of the stored hash. The account's row is read
on every request, so a changed password, a deactivated and a deleted account lose access at once all the same.

Each process remembers the last pair of a login and address as well, and forgets it when another password comes from
there: repeated guesses always meet the rate limit, whose counts all processes share.

Without Redis each process remembers and counts for itself.
"""

import hmac
import threading
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache, caches

from apps.accounts import selectors
from apps.accounts.auth.attempts import Attempts
from apps.accounts.auth.digest import keyed_digest
from apps.accounts.config import Logins
from apps.accounts.models import Account
from apps.common import errors
from apps.common.budget import Budget
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.redis_client import RedisAwayError

# Hashes that a process computes at a time, and how long a request waits for its turn.
HASHES_AT_ONCE = 2
HASH_WAIT_S = 5.0
_hashes = Budget(HASHES_AT_ONCE, HASH_WAIT_S)
# One attempt at a time of a login and address: of many right ones at once the first is hashed and the others find it
# remembered. Otherwise those that are being hashed would count as failures for the others.
_turns = [threading.Lock() for _ in range(64)]

Remembered = tuple[str, str]  # the account's id, and a digest of the stored hash


def password_verify(*, login: str, password: str, address: str | None = None) -> Account:
    """Return the active account of a login and its password.

    Raises LunaError WRONG_CREDENTIALS (401) when there is none, AUTHORIZATION_FAILED (429) after `LUNA_FAILED_LOGINS`
    failures of this login from this address, or `LUNA_FAILED_LOGINS_PER_ADDRESS` of any login from it, within
    `LUNA_FAILED_LOGINS_WINDOW_S`; PROCESSING_TIMEOUT (503) while too many passwords are checked.
    """
    login = login.strip().lower()
    attempts = Attempts(login, address)
    key = f"credentials:{keyed_digest(login, password)}"
    last, remembered = caches["process"].get(_last_pair(attempts), ("", None))
    known = bool(last) and hmac.compare_digest(last, key)
    if not known:
        caches["process"].delete(_last_pair(attempts))
        attempts.check()
        remembered = _recall(key)
    account = _still_right(remembered)
    if account is None:
        known = False
        account, remembered = _verify(login, password, key, attempts)
    if not known:
        caches["process"].set(_last_pair(attempts), (key, remembered), config(Logins).credentials_cache_s)
    return account


def password_hash(password: str) -> str:
    """Return the hash of a new password. Raises LunaError PROCESSING_TIMEOUT (503) while too many are hashed."""
    with _hashes.take(1):
        return make_password(password)


def _last_pair(attempts: Attempts) -> str:
    return f"last-pair:{attempts.key}"


def _verify(login: str, password: str, key: str, attempts: Attempts) -> tuple[Account, Remembered]:
    with _turns[hash(attempts.key) % len(_turns)], _hashes.take(1):
        remembered = _recall(key)  # another request with this pair may have been verified while this one waited
        account = _still_right(remembered)
        if account is not None and remembered is not None:
            return account, remembered
        attempts.begin()
        account = selectors.account_by_login(login)
        if not _password_fits(account, password) or account is None or not account.is_active:
            caches["process"].delete(_last_pair(attempts))
            raise LunaError(errors.WRONG_CREDENTIALS)
        attempts.succeed()
        remembered = (account.account_id.hex, keyed_digest(account.password))
        _remember(key, remembered)
        return account, remembered


def _recall(key: str) -> Remembered | None:
    try:
        found: Remembered | None = cache.get(key)
    except RedisAwayError:
        found = caches["process"].get(key)
    return found


def _remember(key: str, remembered: Remembered) -> None:
    try:
        cache.set(key, remembered, config(Logins).credentials_cache_s)
    except RedisAwayError:
        caches["process"].set(key, remembered, config(Logins).credentials_cache_s)


def _still_right(remembered: Remembered | None) -> Account | None:
    """The account, unless its password is another by now or it may not log in."""
    if remembered is None:
        return None
    account_id, stamp = remembered
    account = selectors.account_find(UUID(account_id))
    fits = account is not None and account.is_active and hmac.compare_digest(stamp, keyed_digest(account.password))
    return account if fits else None


def _password_fits(account: Account | None, password: str) -> bool:
    if account is None:
        make_password(password)  # an unknown login must take as long as a wrong password
        return False
    return check_password(password, account.password)
