"""The notifications of an account in Redis: their channel, and the order in which they were sent.

The order is a sorted set of event ids by the time of sending. A script writes both in one step, so all listeners
receive events in the order of the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from channels.layers import get_channel_layer
from redis.exceptions import ResponseError

from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.redis_client import RedisAwayError, client
from apps.common.tracing import current_traceparent
from apps.sender.config import Sender

GROUP = "events.{}"
CHANNEL = "asgi__group__events.{}"  # the channel of this group in channels_redis, whose prefix is `asgi`
SENT = "luna:sent:{}"
MARGIN_S = 120  # that an event is known for longer than a websocket can resume after it
EVENT_TYPE, MARK_TYPE = "event", "mark"  # `type` of a message
# What a message has in place of the id of the event before it:
UNORDERED = bytes(16)  # the order does not have the message, or had it already
FIRST = b"\xff" * 16  # the order was empty
# Times are microseconds since 1970 of Redis's clock, increased where two events have the same one. The last 16 bytes of
# a message are the id of the event before it, so that listeners notice messages that they have not received.
SEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= now then now = tonumber(last[2]) + 1 end
local message = ARGV[2]
if redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', now), ARGV[3]) == 1 then
    message = string.sub(message, 1, -17) .. (last[1] or ARGV[6])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[4] - 1)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, string.format('(%.0f', now - ARGV[5] * 1000000))
redis.call('EXPIRE', KEYS[1], ARGV[5])
return redis.call('PUBLISH', ARGV[1], message)
"""
# The last 16 bytes of a mark are the id of the last event in the order, which lives on while websockets listen.
MARK = """
local last = redis.call('ZRANGE', KEYS[1], -1, -1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('PUBLISH', ARGV[1], string.sub(ARGV[2], 1, -17) .. (last[1] or ARGV[4]))
"""


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to the websockets of an account: columns of the event and the text to send, both JSON.

    `traceparent`: the span that created it.
    """

    account_id: UUID
    event_id: UUID | None
    facts: bytes
    text: str
    traceparent: str | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.facts) + len(self.text)


def lost_notification(account_id: UUID) -> Notification:
    """Return a place in the order for notifications that were dropped: listeners notice it, even if it is lost, too."""
    return Notification(account_id, uuid4(), b"", "")


def group_name(account_id: UUID) -> str:
    """Return the channel-layer group of an account's events."""
    return GROUP.format(account_id)


def notification_send(notification: Notification) -> None:
    """Send a notification to the hubs of all processes.

    Raises LunaError REDIS_DISCONNECTED, MESSAGE_PUBLISHING_FAILED for any other failure.
    """
    try:
        _send(notification)
    except LunaError:
        raise
    except Exception as error:
        raise LunaError(errors.MESSAGE_PUBLISHING_FAILED) from error


def _send(notification: Notification) -> None:
    event_id = UNORDERED if notification.event_id is None else notification.event_id.bytes
    message: dict[str, object] = {"type": EVENT_TYPE, "facts": notification.facts, "text": notification.text}
    if traceparent := current_traceparent():
        message["traceparent"] = traceparent
    body = get_channel_layer().serialize({**message, "event_id": event_id, "previous": UNORDERED})
    channel = CHANNEL.format(notification.account_id)
    if notification.event_id is None:
        client().publish(channel, body)
        return
    key = SENT.format(notification.account_id)
    try:
        client().eval(SEND, 1, key, channel, body, event_id, _kept_events(), _kept_s(), FIRST)
    except RedisAwayError as error:
        if not isinstance(error.__cause__, ResponseError):
            raise
        client().publish(channel, body)  # a full Redis stores no order, but passes messages on


def marks_send(marks: Sequence[tuple[UUID, str]]) -> None:
    """Send the end of an account's order to a channel, for each account and channel.

    The mark follows all messages that Redis passed to the subscriber of the channel before. Raises LunaError
    REDIS_DISCONNECTED.
    """
    body = get_channel_layer().serialize({"type": MARK_TYPE, "previous": UNORDERED})
    for account_id, channel in marks:
        client().eval(MARK, 1, SENT.format(account_id), channel, body, _kept_s(), FIRST)


def sent_time_us(*, account_id: UUID, event_id: UUID) -> int | None:
    """Return when an event was sent, in microseconds since 1970; None if Redis does not know it."""
    time_us = client().zscore(SENT.format(account_id), event_id.bytes)
    return None if time_us is None else int(time_us)


def sent_times_us(*, account_id: UUID, since_us: int) -> Mapping[UUID, int]:
    """Return the events that were sent since a time, with their times, in order."""
    found: Any = client().zrangebyscore(SENT.format(account_id), since_us, "+inf", withscores=True)
    return {UUID(bytes=member): int(time_us) for member, time_us in found}


def known_since_us(*, account_id: UUID) -> int:
    """Return the time since which the order is complete: 0, or that of the first event if earlier ones are removed."""
    key = SENT.format(account_id)
    if client().zcard(key) < _kept_events():
        return 0
    first: Any = client().zrange(key, 0, 0, withscores=True)
    return next((int(time_us) for _, time_us in first), 0)


def _kept_s() -> int:
    return int(config(Sender).resume_s) + MARGIN_S


def _kept_events() -> int:
    """Return the length of the order: twice what a websocket may miss, so that the events before them are known.

    It has at least the last event, to which the next message refers.
    """
    return max(1, 2 * config(Sender).resume_events)


def event_id_of(message: Mapping[str, object]) -> UUID | None:
    """Return the id of the event of a notification; None for a message without one."""
    event = message.get("event")
    return parse_uuid(str(event.get("event_id"))) if isinstance(event, Mapping) else None
