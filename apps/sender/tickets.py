"""Tickets of websockets: random secrets that open one websocket each, within seconds.

Browsers cannot send headers with the handshake of a websocket, so a page fetches a ticket over HTTP and connects with
`?ticket=`. Redis has a ticket's SHA-256 only; reading it removes it.
"""

import hashlib
import secrets
from uuid import UUID

import orjson

from apps.common.redis_client import client
from apps.sender.selectors import Listener, Session, valid_sessions

KEY = "luna:ws-ticket:{}"
LIFETIME_S = 30
BYTES = 32


def _key(ticket: str) -> str:
    return KEY.format(hashlib.sha256(ticket.encode()).hexdigest())


def ticket_create(*, listener: Listener) -> str:
    """Return a new ticket for the credentials of `listener`. Raises LunaError REDIS_DISCONNECTED."""
    ticket, session = secrets.token_urlsafe(BYTES), listener.session
    kept = [session.account_id, session.token_id, session.verified, session.digest, session.site,
            listener.sees_all_accounts]  # fmt: skip
    client().set(_key(ticket), orjson.dumps(kept), ex=LIFETIME_S)
    return ticket


def ticket_redeem(*, ticket: str) -> Listener | None:
    """Use a ticket up. None if it is unknown, used or expired, or if its credentials have changed since.

    Raises LunaError REDIS_DISCONNECTED.
    """
    kept = client().getdel(_key(ticket))
    if kept is None:
        return None
    account_id, token_id, verified, digest, site, sees_all_accounts = orjson.loads(kept)
    session = Session(UUID(account_id), None if token_id is None else UUID(token_id), verified, digest, site)
    return Listener(session, sees_all_accounts) if valid_sessions(sessions=[session]) else None
