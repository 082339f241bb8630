"""Verification of logins and passwords: Argon2, a short cache of verified pairs, and a rate limit.

Argon2 takes about 50 ms and 100 MB by design. A verified pair is therefore cached under its HMAC, with a digest of the
stored hash, until `LUNA_CREDENTIALS_CACHE_S` after its last use. Each request reads the account's row, so a changed
password, a disabled account and a deleted account take effect at once.

Each process also caches the last verified pair per login and address, and drops it when another password arrives from
that address. Repeated guesses therefore always reach the rate limit, whose counters all processes share.

Without Redis, each process caches and counts for itself.
"""

import hmac
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.cache import cache, caches
from django.core.exceptions import ValidationError

from apps.accounts import selectors
from apps.accounts.auth.attempts import Attempts
from apps.accounts.auth.digest import keyed_digest
from apps.accounts.auth.logins import Way, login_failed, login_succeeded
from apps.accounts.config import Logins
from apps.accounts.models import Account
from apps.common import errors
from apps.common.budget import Budget
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.redis_client import RedisAwayError

# Concurrent hashes of a process, and the longest wait of a request for one.
HASHES_AT_ONCE = 2
HASH_WAIT_S = 5.0
_hashes = Budget("passwords are being checked", HASHES_AT_ONCE, HASH_WAIT_S)
# Logins (per address) that are hashed or wait for it, because each of them waits in a thread of the process.
LOGINS_AT_ONCE = 4
_places: Counter[str] = Counter()
_places_lock = threading.Lock()
# Attempts of the same login and address are serialised. Of concurrent correct attempts, the first is hashed and the
# others hit the cache. Otherwise attempts in progress would count as failures against each other.
_turns = [threading.Lock() for _ in range(64)]

Remembered = tuple[str, str]  # account id, digest of the stored hash


def password_verify(*, login: str, password: str, address: str | None = None, way: Way = Way.API) -> Account:
    """Return the active account of a login and password. A failed login leaves an audit line.

    Raises LunaError WRONG_CREDENTIALS (401) when they do not match. Raises AUTHORIZATION_FAILED (429) after
    `LUNA_FAILED_LOGINS` failures of the login from the address, or `LUNA_FAILED_LOGINS_PER_ADDRESS` failures of all
    logins from it, within `LUNA_FAILED_LOGINS_WINDOW_S`. Raises SERVICE_BUSY (503) when the wait for hashing is too
    long.
    """
    login = login.strip().lower()
    attempts = Attempts(login, address)
    key = f"credentials:{keyed_digest(login, password)}"
    last, remembered, since_s = caches["process"].get(_last_pair(attempts), ("", None, 0.0))
    known = bool(last) and hmac.compare_digest(last, key)
    # A pair in use is renewed before it expires, because hashing it again would delay all clients of the login.
    fresh = known and time.monotonic() - since_s < config(Logins).credentials_cache_s / 2
    if not fresh:
        caches["process"].delete(_last_pair(attempts))
        attempts.check()
        remembered = remembered if known else _recall(key)
    account = _still_right(remembered)
    if account is None:
        fresh = False
        account, remembered = _verify(login, password, key, attempts, way)
    elif known and not fresh:
        _remember(key, remembered)
    if not fresh:
        if way is Way.API:  # also for a pair that another address has verified
            login_succeeded(account=account, way=way, address=address)
        pair = (key, remembered, time.monotonic())
        caches["process"].set(_last_pair(attempts), pair, config(Logins).credentials_cache_s)
    return account


def password_hash(password: str, account: Account) -> str:
    """Hash the new password of an account, whose login and description it must not resemble.

    Raises LunaError INVALID_JSON for a password against the policy, SERVICE_BUSY (503) when the wait for hashing is too
    long.
    """
    try:
        validate_password(password, account)
    except ValidationError as error:
        raise LunaError(errors.INVALID_JSON, f"{' '.join(error.messages)} Path: 'password'") from None
    with _hashes.take(1):
        return make_password(password)


def _last_pair(attempts: Attempts) -> str:
    return f"last-pair:{attempts.key}"


def _verify(login: str, password: str, key: str, attempts: Attempts, way: Way) -> tuple[Account, Remembered]:
    attempts.check_address()  # before the wait: a flood of logins must not hold the threads that answer requests
    with _place(attempts.key), _turns[hash(attempts.key) % len(_turns)], _hashes.take(1):
        remembered = _recall(key)  # another request may have verified this pair during the wait
        account = _still_right(remembered)
        if account is not None and remembered is not None:
            return account, remembered
        account = selectors.account_by_login(login)  # before the count: no login fails because the database is away
        attempts.begin()
        if not _password_fits(account, password) or account is None or not account.is_active:
            caches["process"].delete(_last_pair(attempts))
            login_failed(account=account, way=way, attempts=attempts)
            raise LunaError(errors.WRONG_CREDENTIALS)
        attempts.succeed()
        remembered = (account.account_id.hex, keyed_digest(account.password))
        _remember(key, remembered)
        return account, remembered


@contextmanager
def _place(key: str) -> Iterator[None]:
    """Hold a place among the logins whose passwords are hashed. Raises LunaError SERVICE_BUSY when all are taken.

    Concurrent attempts of one login and address share a place: a correct pair is cached after the first, and few wrong
    ones are allowed.
    """
    with _places_lock:
        if key not in _places and len(_places) >= LOGINS_AT_ONCE:
            raise LunaError(errors.SERVICE_BUSY, "too many passwords are being checked", headers={"Retry-After": "1"})
        _places[key] += 1
    try:
        yield
    finally:
        with _places_lock:
            _places[key] -= 1
            if not _places[key]:
                del _places[key]


def _recall(key: str) -> Remembered | None:
    try:
        found: Remembered | None = cache.get(key)
    except RedisAwayError:
        found = caches["process"].get(key)
    return found


def _remember(key: str, remembered: Remembered | None) -> None:
    try:
        cache.set(key, remembered, config(Logins).credentials_cache_s)
    except RedisAwayError:
        caches["process"].set(key, remembered, config(Logins).credentials_cache_s)


def _still_right(remembered: Remembered | None) -> Account | None:
    """Return the account of a cached pair; None if its password has changed or it is not active."""
    if remembered is None:
        return None
    account_id, stamp = remembered
    account = selectors.account_find(UUID(account_id))
    fits = account is not None and account.is_active and hmac.compare_digest(stamp, keyed_digest(account.password))
    return account if fits else None


def _password_fits(account: Account | None, password: str) -> bool:
    if account is None:
        make_password(password)  # equal duration for unknown logins and wrong passwords
        return False
    return check_password(password, account.password)
