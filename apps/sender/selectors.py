"""Check whether the credentials that opened a websocket are still valid."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from apps.accounts.auth.authentication import is_trusted
from apps.accounts.auth.principal import Principal
from apps.accounts.config import Logins
from apps.accounts.models import Account, Token
from apps.common.config import config
from apps.common.times import utc_now


@dataclass(frozen=True, slots=True)
class Session:
    """The account and token that opened a websocket. `digest` changes when their credentials or rights change.

    `verified` is False for a `Luna-Account-Id`.
    """

    account_id: UUID
    token_id: UUID | None
    verified: bool
    digest: str


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


def valid_sessions(*, sessions: Collection[Session]) -> set[Session]:
    """Return the sessions whose account and token are valid and unchanged. Two queries."""
    keys = {(session.account_id, session.token_id, session.verified) for session in sessions}
    return _current_sessions(keys) & set(sessions)


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
