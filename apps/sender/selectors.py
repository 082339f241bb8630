"""Check whether the credentials that opened a websocket are still valid."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from apps.accounts.models import Account, Token
from apps.common.times import utc_now


@dataclass(frozen=True, slots=True)
class Session:
    """The account and token that opened a websocket. `digest` changes when their credentials or rights change."""

    account_id: UUID
    token_id: UUID | None
    digest: str


def _account_digest(account: Account) -> str:
    return f"{account.get_session_auth_hash()} {account.account_type}"


def _token_digest(token: Token) -> str:
    return token.last_update_time.isoformat()


def session_of(*, account_id: UUID, token_id: UUID | None) -> Session | None:
    """Return the session of an authenticated account; None if it was deleted since."""
    sessions = _current_sessions({(account_id, token_id)})
    return next(iter(sessions), None)


def valid_sessions(*, sessions: Collection[Session]) -> set[Session]:
    """Return the sessions whose account and token are valid and unchanged. Two queries."""
    return _current_sessions({(session.account_id, session.token_id) for session in sessions}) & set(sessions)


def _current_sessions(keys: Collection[tuple[UUID, UUID | None]]) -> set[Session]:
    now = utc_now()
    accounts = Account.objects.filter(is_active=True).in_bulk([account_id for account_id, _ in keys])
    tokens = Token.objects.unscoped().in_bulk([token_id for _, token_id in keys if token_id])
    found = set()
    for account_id, token_id in keys:
        account, token = accounts.get(account_id), tokens.get(token_id)
        if account is None:
            continue
        if token_id is None:
            found.add(Session(account_id, None, _account_digest(account)))
        elif token and token.account_id == account_id and (not token.expiration_time or token.expiration_time > now):
            found.add(Session(account_id, token_id, f"{account.account_type} {_token_digest(token)}"))
    return found
