"""Notification of websocket subscribers."""

import logging
from collections.abc import Mapping
from uuid import UUID

import orjson

from apps.common.request_id import HEADER, current_request_id
from apps.sender.publisher import Message, publisher

logger = logging.getLogger(__name__)


def group_name(account_id: UUID) -> str:
    """The channel-layer group of one account's events."""
    return f"events.{account_id}"


def event_publish(*, account_id: UUID, facts: Mapping[str, object], message: Mapping[str, object]) -> None:
    """Sends one event to the account's websockets of every process. Call it in `transaction.on_commit`.

    `facts` are the event's columns by name (`apps.events.models.Event`), what subscribers' filters look at. `message`
    is the frame: `event` (an item of the answer's `events`), `handler_id`, `event_create_time`, `event_end_time`; the
    request id is added. UUIDs and times may be given as such. Never raises and never waits: the event is committed and
    its request is acknowledged, so a failure is logged.
    """
    try:
        frame = {**message, HEADER: message.get(HEADER) or current_request_id.get()}
        facts_json, text = orjson.dumps(dict(facts)), orjson.dumps(frame)
        notification: Message = {"type": "event", "facts": facts_json, "text": text.decode()}
        publisher().submit(group_name(account_id), notification, size_bytes=len(facts_json) + len(text))
    except Exception:
        logger.exception("an event of account %s cannot be published", account_id)
