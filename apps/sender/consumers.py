"""`/6/ws` and `/1/ws`: notifications of an account's events as they are committed.

It is a plain ASGI application, because a Channels consumer would subscribe to Redis once per socket. Here all sockets
of a process share the hub's subscriptions.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, QueryDict

from apps.accounts.auth.access import require_right
from apps.accounts.auth.authentication import ACCOUNT_HEADER, log_invoker, principal_of
from apps.common import errors
from apps.common.config import QueryParameters, config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.filters import Filters, SubscriptionSerializer, accepts
from apps.common.hosts import check_host, check_origin
from apps.common.networks import parse_address
from apps.common.parameters import HEADER as UNKNOWN_PARAMETERS
from apps.common.parameters import unknown_names
from apps.common.parts import SENDER, part_check
from apps.common.redis_client import AWAY, RedisAwayError
from apps.common.request_id import HEADER, accept_request_id, current_request_id
from apps.common.tracing import stage_span
from apps.common.validation import checked_parameters
from apps.licenses.selectors import license_require
from apps.sender import selectors
from apps.sender.config import Sender
from apps.sender.frames import WRITE, Write
from apps.sender.hub import Close, Subscription, hub
from apps.sender.resuming import Missed, missed_events, notifications
from apps.sender.selectors import Listener
from apps.sender.sent import group_name
from apps.sender.threads import in_thread
from apps.sender.tickets import ticket_redeem

logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

TICKET = "ticket"
LAST_EVENT_ID = "last_event_id"
LAST_EVENT_HEADER = "last-event-id"
REPLAYED_EVENTS = 100  # that are read at once
CLOSE_GRACE_S = 10.0  # time for a slow reader to receive the close frame


@dataclass(frozen=True, slots=True)
class Handshake:
    """The opening request of a websocket."""

    headers: Mapping[str, str]
    query: QueryDict
    address: str | None

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> "Handshake":
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        address = parse_address((scope.get("client") or (None,))[0])
        return cls(headers, QueryDict(scope["query_string"]), address)

    def check_host(self) -> None:
        """Reject a host that is not allowed, as for HTTP. Raises LunaError INVALID_REQUEST."""
        request = HttpRequest()
        request.META = {"HTTP_HOST": self.headers.get("host", "")}
        check_host(request)

    def check_origin(self) -> None:
        """Reject pages of other origins, unless they have a ticket. Raises LunaError ACCESS_DENIED."""
        if not self.ticket:
            check_origin(self.headers.get("origin"), self.headers.get("host", ""))

    @property
    def ticket(self) -> str:
        return str(self.query.get(TICKET, ""))

    def authenticate(self) -> Listener:
        """Authenticate by ticket, or like an HTTP request. A token needs the right `event`.`view`.

        Raises LunaError SUBSCRIPTION_NEEDS_ACCOUNT without credentials or with a void ticket, and the errors of
        authentication.
        """
        if self.ticket:
            redeemed = ticket_redeem(ticket=self.ticket)
            if redeemed is None:
                raise LunaError(errors.SUBSCRIPTION_NEEDS_ACCOUNT)
            return redeemed
        principal = principal_of(
            authorization=self.headers.get("authorization"),
            account_header=self.headers.get(ACCOUNT_HEADER.lower()),
            address=self.address,
            host=self.headers.get("host", ""),
        )
        if principal is None:
            raise LunaError(errors.SUBSCRIPTION_NEEDS_ACCOUNT)
        log_invoker(principal)
        require_right(principal, "event", "view")
        listener = selectors.listener_of(principal)
        if listener is None:
            raise LunaError(errors.SUBSCRIPTION_NEEDS_ACCOUNT)
        return listener

    def account(self, listener: Listener) -> UUID:
        """Return the account whose events are heard: `account_id` of the query, else the client's own.

        Raises LunaError BAD_QUERY_PARAMETERS for an id that is no UUID, ACCOUNT_ID_PARAMETER_DENIED for an account that
        the client may not read.
        """
        text = self.query.get("account_id")
        if text is None:
            return listener.session.account_id
        account_id = parse_uuid(text)
        if account_id is None:
            raise LunaError(errors.BAD_QUERY_PARAMETERS, "'account_id'")
        if account_id != listener.session.account_id and not listener.sees_all_accounts:
            raise LunaError(errors.ACCOUNT_ID_PARAMETER_DENIED)
        return account_id

    def filters(self) -> Filters:
        """Validate the filters of the query. Raises LunaError BAD_QUERY_PARAMETERS for an invalid filter."""
        unknown = self.unknown_parameters()
        if unknown and config(QueryParameters).refuse_unknown:
            raise LunaError(errors.BAD_QUERY_PARAMETERS, f"{', '.join(unknown)}: unknown")
        filters: Filters = checked_parameters(SubscriptionSerializer, self.query)["filters"]
        return filters

    def last_event_id(self) -> UUID | None:
        """Return the last event that the client received: of the query, else of the header.

        Raises LunaError BAD_QUERY_PARAMETERS for an id that is no UUID.
        """
        text = self.query.get(LAST_EVENT_ID, self.headers.get(LAST_EVENT_HEADER))
        if text is None:
            return None
        event_id = parse_uuid(text)
        if event_id is None:
            raise LunaError(errors.BAD_QUERY_PARAMETERS, f"'{LAST_EVENT_ID}'")
        return event_id

    def unknown_parameters(self) -> list[str]:
        known = {"account_id", TICKET, LAST_EVENT_ID, *SubscriptionSerializer().fields}
        return unknown_names(self.query, known) if self.query else []


async def events_socket(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve a websocket (an ASGI application)."""
    await receive()  # websocket.connect
    handshake = Handshake.of(scope)
    request_id = accept_request_id(handshake.headers.get(HEADER.lower()))
    current_request_id.set(request_id)  # each connection runs in its own context
    notes = scope.get("luna.notes", {})  # for the access log
    try:
        subscription, missed = await _subscribe(handshake, scope.get(WRITE))
    except LunaError as error:
        notes["luna.error_code"] = error.code
        await _deny(scope, send, error, request_id)
        return
    notes["luna.account"] = subscription.session.account_id
    try:
        headers = {HEADER: request_id}
        if unknown := handshake.unknown_parameters():
            headers[UNKNOWN_PARAMETERS] = ", ".join(unknown)
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "websocket.accept", "headers": encoded})
        await _serve(subscription, missed, receive, send)
    finally:
        await hub().leave(subscription)


async def _subscribe(handshake: Handshake, write: Write | None) -> tuple[Subscription, Sequence[Missed]]:
    """Authenticate, join the hub, and find the missed events: later ones are queued by the hub already.

    Raises LunaError, SENDER_DISABLED if the Sender is disabled, LICENSE_PROBLEM.
    """
    part_check(SENDER)
    await in_thread(license_require)()
    handshake.check_host()
    handshake.check_origin()
    with stage_span("authenticate"):
        listener = await in_thread(handshake.authenticate)()
    last_event_id = handshake.last_event_id()
    subscription = Subscription(
        listener.session,
        account_id=handshake.account(listener),
        accepts=partial(accepts, handshake.filters()),
        max_messages=config(Sender).queue_messages,
        max_bytes=config(Sender).queue_bytes,
        write=write,
    )
    try:
        with stage_span("subscribe"):
            await hub().join(subscription)
    except Exception as error:
        logger.exception("Cannot subscribe a websocket of account %s", subscription.account_id)
        if isinstance(error, (*AWAY, OSError, RedisAwayError)):
            raise LunaError(errors.REDIS_DISCONNECTED) from error
        raise LunaError(errors.CHANNEL_SUBSCRIPTION_FAILED, group_name(subscription.account_id)) from error
    if last_event_id is None:
        return subscription, ()
    try:
        account_id = subscription.account_id
        with stage_span("missed events"):
            missed = await in_thread(missed_events)(account_id=account_id, last_event_id=last_event_id)
    except BaseException:
        await hub().leave(subscription)
        raise
    subscription.skip(frozenset(str(each.event_id) for each in missed))
    return subscription, missed


async def _serve(subscription: Subscription, missed: Sequence[Missed], receive: Receive, send: Send) -> None:
    """Send notifications until the client disconnects or the server closes the connection."""
    writer = asyncio.create_task(_write(subscription, missed, send))
    reader = asyncio.create_task(_read(receive))
    try:
        await asyncio.wait((writer, reader, subscription.closing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (writer, reader):
            task.cancel()
        await asyncio.gather(writer, reader, return_exceptions=True)
    if subscription.closing.done():
        await _close(subscription.closing.result(), send)


async def _write(subscription: Subscription, missed: Sequence[Missed], send: Send) -> None:
    """Send the missed events, then those of the queue."""
    for start in range(0, len(missed), REPLAYED_EVENTS):
        batch = missed[start : start + REPLAYED_EVENTS]
        for text in await in_thread(notifications)(
            account_id=subscription.account_id, missed=batch, accepts=subscription.accepts
        ):
            await send({"type": "websocket.send", "text": text})
    while True:
        await send({"type": "websocket.send", "text": await subscription.next()})


async def _read(receive: Receive) -> None:
    """Read and ignore the client's frames until it disconnects."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _close(close: Close, send: Send) -> None:
    """Send the close frame with its reason, within `CLOSE_GRACE_S`. The connection ends in any case."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(
            send({"type": "websocket.close", "code": close.code, "reason": close.reason}), CLOSE_GRACE_S
        )


async def _deny(scope: Mapping[str, Any], send: Send, error: LunaError, request_id: str) -> None:
    """Reject the handshake with an error body, or with a plain 403 if the server does not support bodies."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    headers = {"Content-Type": "application/json", HEADER: request_id, **error.headers}
    await send(
        {
            "type": "websocket.http.response.start",
            "status": error.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "websocket.http.response.body", "body": orjson.dumps(error.body())})
