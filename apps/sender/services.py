"""Notification of websocket subscribers."""

import logging
from collections.abc import Mapping
from uuid import UUID

import orjson

from apps.common.request_id import HEADER, current_request_id
from apps.common.tracing import current_traceparent
from apps.sender.publisher import publisher
from apps.sender.sent import Notification, event_id_of

logger = logging.getLogger(__name__)

REQUEST_ID_KEY = "Luna-Request-id"


def message_frame(message: Mapping[str, object]) -> dict[str, object]:
    """Return a message with the request id, in both spellings that clients read."""
    request_id = message.get(HEADER) or current_request_id.get()
    return {**message, REQUEST_ID_KEY: request_id, HEADER: request_id}


def event_publish(*, account_id: UUID, facts: Mapping[str, object], message: Mapping[str, object]) -> None:
    """Notify the account's websockets of all processes of an event. Call it in `transaction.on_commit`.

    `facts`: the event's columns by name (`apps.events.models.Event`), for the subscribers' filters. `message`: the
    notification with `event` (an item of the response's `events`), `handler_id`, `event_create_time` and
    `event_end_time`; the request id is added. UUIDs and times need no conversion. It never raises and never blocks:
    the event is committed already, so a failure is logged.
    """
    try:
        facts_json, text = orjson.dumps(dict(facts)), orjson.dumps(message_frame(message))
        traceparent = current_traceparent()
        publisher().submit(Notification(account_id, event_id_of(message), facts_json, text.decode(), traceparent))
    except Exception:
        logger.exception("Cannot publish an event of account %s", account_id)
