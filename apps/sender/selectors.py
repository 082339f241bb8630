"""Check whether the credentials that opened a websocket are still valid."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from apps.accounts.auth.authentication import is_trusted
from apps.accounts.auth.principal import Principal
from apps.accounts.config import Logins
from apps.accounts.models import Account, Token
from apps.common.config import config
from apps.common.times import utc_now


@dataclass(frozen=True, slots=True)
class Session:
    """The account and token that opened a websocket. `digest` changes when their credentials or rights change.

    `verified` is False for a `Luna-Account-Id`. `site`: the key of the admin site's session whose page opened it; the
    session and a permission decide then. Empty otherwise.
    """

    account_id: UUID
    token_id: UUID | None
    verified: bool
    digest: str
    site: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """A session, and whether it may listen to other accounts: as its credentials may read them."""

    session: Session
    sees_all_accounts: bool


def _account_digest(account: Account) -> str:
    return f"{account.get_session_auth_hash()} {account.account_type}"


def _token_digest(token: Token) -> str:
    return token.last_update_time.isoformat()


def listener_of(principal: Principal) -> Listener | None:
    """Return an authenticated client as a listener; None if its account or token was deleted since."""
    sessions = _current_sessions({(principal.account_id, principal.token_id, principal.verified)})
    return next((Listener(session, principal.sees_all_accounts) for session in sessions), None)


def site_listener_of(user: Any, session_key: str) -> Listener:
    """Return a user of the admin site as a listener to all accounts, whose events the site shows to the user.

    Session and permission to view events are checked again while the websocket is open.
    """
    return Listener(Session(user.pk, None, True, _account_digest(user), site=session_key), sees_all_accounts=True)


def valid_sessions(*, sessions: Collection[Session]) -> set[Session]:
    """Return the sessions whose account and token are valid and unchanged.

    Two queries, up to three for each user of the site, and one for each session of the site.
    """
    keys = {(session.account_id, session.token_id, session.verified) for session in sessions}
    current = _current_sessions(keys)
    viewers = {account_id for account_id in {each.account_id for each in sessions if each.site}
               if _may_view_events(account_id)}  # fmt: skip
    return {
        each
        for each in sessions
        if replace(each, site="") in current and (not each.site or (each.account_id in viewers and _is_logged_in(each)))
    }


def _is_logged_in(session: Session) -> bool:
    """Return whether the session of the admin site has neither ended nor expired."""
    return str(SessionStore(session.site).load().get(SESSION_KEY)) == str(session.account_id)


def _may_view_events(account_id: UUID) -> bool:
    """Return whether an account has a role or type with this permission now."""
    account = Account.objects.filter(pk=account_id, is_active=True).first()
    return account is not None and bool(account.is_staff) and bool(account.has_perm("events.view_event"))


def _current_sessions(keys: Collection[tuple[UUID, UUID | None, bool]]) -> set[Session]:
    now = utc_now()
    header_allowed = config(Logins).allow_luna_account_auth_header
    accounts = Account.objects.filter(is_active=True).in_bulk([account_id for account_id, *_ in keys])
    tokens = Token.objects.unscoped().in_bulk([token_id for _, token_id, _ in keys if token_id])
    found = set()
    for account_id, token_id, verified in keys:
        account, token = accounts.get(account_id), tokens.get(token_id)
        if account is None:
            continue
        if token_id is None:
            if verified or header_allowed:
                found.add(Session(account_id, None, verified, _account_digest(account)))
        elif (
            token
            and token.account_id == account_id
            and is_trusted(token)
            and (not token.expiration_time or token.expiration_time > now)
        ):
            digest = f"{account.account_type} {_token_digest(token)}"
            found.add(Session(account_id, token_id, verified, digest))
    return found
