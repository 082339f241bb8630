"""Audit lines of logins, to the API by password and to the admin site.

Basic authentication has no beginning and no end: each request sends the password. An account that logs in to the API
from an address leaves a line per hour of use. Failed logins leave a line each, but anonymous clients must not fill the
database: beyond `LUNA_AUDIT_FAILED_LOGINS` in an hour, one line reports that further ones are in the log only.
"""

import logging
from enum import StrEnum

from apps.accounts.audit import audit_write
from apps.accounts.auth.attempts import Attempts, count, place_of
from apps.accounts.auth.digest import keyed_digest
from apps.accounts.auth.principal import Actor
from apps.accounts.config import Audit
from apps.accounts.models import Account
from apps.common.config import config

logger = logging.getLogger(__name__)

HOUR_S = 3600
FAILURES = "luna:failed-login-lines"
LOGIN, FAILED, LOCKED = "login", "login_failed", "login_locked"
ACTIONS = (LOGIN, FAILED, LOCKED)
UNKNOWN = "unknown"  # object of a login that no account has: the text may be a password in the wrong field
ALL_LOGINS = "all logins"
NOT_LISTED = "further ones"


class Way(StrEnum):
    """How a client logs in: the type of the object in audit lines."""

    API = "api"
    ADMIN_SITE = "admin_site"


def login_succeeded(*, account: Account, way: Way, address: str | None) -> None:
    """Write the line of a login; of logins to the API, the first one of an account and address in an hour."""
    if way is Way.API and count(_recorded(account, address), window_s=HOUR_S) != [1]:
        return
    _write(LOGIN, way, account, Actor(account.account_id, None, address))


def login_failed(*, account: Account | None, way: Way, attempts: Attempts) -> None:
    """Write the line of a failed login, and one for each rate limit that it has reached."""
    actor = Actor(remote_address=attempts.address)
    logger.warning("Failed login (%s) of account %s from %s", way, _name(account), attempts.address)
    if not _may_write(way, actor):
        return
    _write(FAILED, way, account, actor)
    if attempts.reached_limit:
        _write(LOCKED, way, account, actor)
    if attempts.reached_address_limit:
        audit_write(action=LOCKED, object_type=way, object_id=ALL_LOGINS, actor=actor)


def _recorded(account: Account, address: str | None) -> str:
    return f"luna:recorded-logins:{keyed_digest(str(account.account_id), place_of(address))}"


def _write(action: str, way: Way, account: Account | None, actor: Actor) -> None:
    owner = account.account_id if account else None
    audit_write(action=action, object_type=way, object_id=_name(account), account_id=owner, actor=actor)


def _name(account: Account | None) -> str:
    return str(account.account_id) if account else UNKNOWN


def _may_write(way: Way, actor: Actor) -> bool:
    (written,) = count(FAILURES, window_s=HOUR_S)
    limit = config(Audit).failed_logins
    if written == limit + 1:
        audit_write(action=FAILED, object_type=way, object_id=NOT_LISTED, actor=actor)
    return written <= limit
