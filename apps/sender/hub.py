"""Fan-out within a process: one channel-layer subscription per account, one bounded queue per websocket."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson
from channels.layers import get_channel_layer

from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.process import PerProcess
from apps.monitoring.traces import message_span
from apps.sender import selectors
from apps.sender.config import Sender
from apps.sender.frames import Message, Write
from apps.sender.selectors import Session
from apps.sender.sent import FIRST, MARK_TYPE, UNORDERED, group_name, marks_send
from apps.sender.threads import in_mark_thread, in_thread

logger = logging.getLogger(__name__)

Facts = Mapping[str, object]

PROBE_S = 1.0  # between two probes of the subscription
PROBE_TIMEOUT_S = 2.0
MARK_TIMEOUT_S = 5.0
MARK_PROBES = 5  # probes in which each account's notifications are compared with Redis's order once
WRITE_BYTES = 64 * 1024  # of notifications in one system call; asyncio pauses a client with as many unsent bytes
SKIPPED_S = 60.0  # time after a replay in which its events may arrive once more


@dataclass(frozen=True, slots=True)
class Close:
    """The reason why the server closes a connection: an application close code (4000 to 4999) and a sentence."""

    code: int
    reason: str


SLOW_READER = Close(4008, "slow reader: events arrive faster than they are read")
UNREADABLE = Close(4000, "29003: a notification cannot be processed; continue with last_event_id")
REDIS_LOST = Close(4000, "Redis was away, notifications may be lost; continue with last_event_id")
LOST = Close(4000, "notifications were lost; continue with last_event_id")
CREDENTIALS_CHANGED = Close(4001, "the credentials were changed, revoked or have expired: connect again")


class Subscription:
    """The notification queue of one websocket, which hears the events of `account_id`.

    `closing` is resolved when the server ends the connection. `skip` names events that are sent from storage. While the
    client reads, `write` sends what waits and no task is woken: `next` returns only what `write` does not take.
    """

    def __init__(
        self,
        session: Session,
        *,
        account_id: UUID,
        accepts: Callable[[Facts], bool],
        max_messages: int,
        max_bytes: int,
        write: Write | None = None,
    ) -> None:
        self.session = session
        self.account_id = account_id
        self.accepts = accepts
        self._loop = asyncio.get_running_loop()
        self.closing: asyncio.Future[Close] = self._loop.create_future()
        self._write = write
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: deque[Message] = deque()
        self._skipped: frozenset[str] = frozenset()
        self._skip_until: float | None = None
        self._waiting_bytes = 0
        self._filled = asyncio.Event()
        self._is_flush_due = False
        self._is_parked = False  # `next` waits, so all earlier messages are sent

    def skip(self, event_ids: frozenset[str]) -> None:
        """Do not return these events from `next`: they are sent from storage before its first call."""
        self._skipped = event_ids

    def offer(self, message: Message) -> None:
        """Queue a notification. A full queue is cleared and ends the connection."""
        if self.closing.done():
            return
        if self._is_full(message):
            self._flush()  # a burst that arrives at once may be larger than the queue
        if self._is_full(message):
            self._waiting.clear()
            self.close(SLOW_READER)
            return
        self._waiting.append(message)
        self._waiting_bytes += len(message.text)
        if not self._is_flush_due:  # once the messages that have arrived together are queued
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def close(self, reason: Close) -> None:
        if not self.closing.done():
            self.closing.set_result(reason)

    async def next(self) -> str:
        """Wait for a notification and return the oldest one."""
        while True:
            while not self._waiting:
                self._filled.clear()
                self._is_parked = True
                await self._filled.wait()
                self._is_parked = False
            message = self._take()
            if not self._skips(message.event_id):
                return message.text

    def _flush(self) -> None:
        """Write what waits, at most `WRITE_BYTES` at once. Wake `next` for the rest."""
        self._is_flush_due = False
        while self._waiting and self._is_parked and self._write is not None and not self.closing.done():
            messages, size = [], 0
            while self._waiting and (not size or size + len(self._waiting[0].frame) <= WRITE_BYTES):
                messages.append(self._take())
                size += len(messages[-1].frame)
            if not self._write(b"".join(each.frame for each in messages if not self._skips(each.event_id))):
                self._waiting.extendleft(reversed(messages))
                self._waiting_bytes += sum(len(each.text) for each in messages)
                break
        if self._waiting:
            self._filled.set()

    def _is_full(self, message: Message) -> bool:
        too_many = len(self._waiting) >= self._max_messages
        return too_many or self._waiting_bytes + len(message.text) > self._max_bytes

    def _take(self) -> Message:
        message = self._waiting.popleft()
        self._waiting_bytes -= len(message.text)
        return message

    def _skips(self, event_id: object) -> bool:
        if not self._skipped:
            return False
        now = time.monotonic()
        if self._skip_until is None:
            self._skip_until = now + SKIPPED_S
        elif now > self._skip_until:
            self._skipped = frozenset()
        return event_id in self._skipped


def _own_task(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a task without the request id and the span of the websocket that happens to need it first."""
    return asyncio.create_task(work, name=name, context=Context())


class _Room:
    """The subscriptions of one account and the task that feeds them."""

    def __init__(self, account_id: UUID) -> None:
        self.account_id = account_id
        self.group = group_name(account_id)
        self.members: set[Subscription] = set()
        self.channel = ""
        self.task: asyncio.Task[None] | None = None
        self._last: object = UNORDERED  # id of the last event in the order
        self._last_at = 0.0
        self._marked = asyncio.Event()

    async def open(self) -> None:
        """Subscribe to the channel layer. Raises its errors and REDIS_DISCONNECTED when Redis is not available."""
        layer = get_channel_layer()
        self.channel = await layer.new_channel("sender")
        self.task = _own_task(self._pump(), f"sender {self.group}")
        try:
            await layer.group_add(self.group, self.channel)
            await in_mark_thread(marks_send, [self.mark])
            async with asyncio.timeout(MARK_TIMEOUT_S):  # from this mark on, a lost notification is noticed
                await self._marked.wait()
        except BaseException:
            await self.close()
            raise

    @property
    def mark(self) -> tuple[UUID, str]:
        """The account and the channel of `marks_send`."""
        return self.account_id, self.channel

    async def close(self) -> None:
        if self.task is None:
            return
        try:
            await get_channel_layer().group_discard(self.group, self.channel)
        except Exception:
            logger.exception("Cannot unsubscribe from %s", self.group)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _pump(self) -> None:
        layer = get_channel_layer()
        while True:
            message = await layer.receive(self.channel)
            try:
                self._take(message)
            except Exception:
                error = LunaError(errors.MESSAGE_PROCESSING_FAILED)
                logger.exception("Cannot deliver a notification of %s: %s", self.group, error)
                for member in tuple(self.members):
                    member.close(UNREADABLE)

    def _take(self, message: Mapping[str, object]) -> None:
        previous = message["previous"]
        if message["type"] == MARK_TYPE:
            self._follow(previous, last=previous)
            self._marked.set()
            return
        if previous != UNORDERED:
            self._follow(previous, last=message["event_id"])
        if not message["facts"]:
            self._lose()
            return
        parent: Any = message.get("traceparent")
        with message_span("notification deliver", kind="CONSUMER", traceparent=parent) as span:
            facts: Facts = orjson.loads(message["facts"])  # type: ignore[arg-type]
            notification = Message(str(message["text"]), facts.get("event_id"))
            receivers = [member for member in self.members if member.accepts(facts)]
            for member in receivers:
                member.offer(notification)
            if span is not None:
                span.note("luna.websockets", len(receivers))

    def _follow(self, previous: object, *, last: object) -> None:
        """Close the websockets if the order has events before this message that have not been received."""
        if self._misses(previous):
            self._lose()
        self._last, self._last_at = last, time.monotonic()

    def _lose(self) -> None:
        logger.error("Notifications of %s were lost: its websockets are closed", self.group)
        for member in tuple(self.members):
            member.close(LOST)

    def _misses(self, previous: object) -> bool:
        """Return whether notifications were lost before one that follows the event `previous`.

        The channel layer subscribes again after a short outage of Redis, perhaps between two probes.
        """
        if self._last == UNORDERED:
            return False
        expired = time.monotonic() - self._last_at > config(Sender).resume_s
        return previous != self._last and not (previous == FIRST and expired)


class Hub:
    """The rooms of one event loop, and the tasks that check credentials of members and the subscription to Redis."""

    def __init__(self) -> None:
        self._rooms: dict[UUID, _Room] = {}
        self._lock = asyncio.Lock()
        self._watches: tuple[asyncio.Task[None], ...] = ()
        self._probe_channel = ""

    @property
    def rooms(self) -> tuple[_Room, ...]:
        return tuple(self._rooms.values())

    async def join(self, subscription: Subscription) -> None:
        """Add a subscription: once this returns, every event published later is delivered."""
        account_id = subscription.account_id
        async with self._lock:
            room = self._rooms.get(account_id)
            if room is None:
                room = _Room(account_id)
                await room.open()
                self._rooms[account_id] = room
            room.members.add(subscription)
            if not self._watches:
                self._watches = (
                    _own_task(self._watch_credentials(), "sender credentials"),
                    _own_task(self._watch_redis(), "sender probes"),
                )

    async def leave(self, subscription: Subscription) -> None:
        account_id = subscription.account_id
        async with self._lock:
            room = self._rooms[account_id]
            room.members.discard(subscription)
            if not room.members:
                del self._rooms[account_id]
                await room.close()
            if not self._rooms:
                for watch in self._watches:
                    watch.cancel()
                self._watches = ()

    async def _watch_redis(self) -> None:
        """Close all websockets once the subscription works again after an outage, because events may be lost.

        The channel layer subscribes again by itself, but does not report it. A probe that returns shows that it works.
        """
        interrupted, turn = False, 0
        while True:
            await asyncio.sleep(PROBE_S)
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await self._probe()
                turn = (turn + 1) % MARK_PROBES
                await in_mark_thread(marks_send, [room.mark for room in self.rooms[turn::MARK_PROBES]])
            except Exception as error:
                if not interrupted:
                    logger.error("The subscription to notifications is interrupted: %r", error)
                interrupted = True
                continue
            if interrupted:
                interrupted = False
                for member in [member for room in self.rooms for member in room.members]:
                    member.close(REDIS_LOST)

    async def _probe(self) -> None:
        """Send a message to this hub through Redis and receive it."""
        layer = get_channel_layer()
        if not self._probe_channel:
            self._probe_channel = await layer.new_channel("probe")
        await layer.send(self._probe_channel, {"type": "probe"})
        channel, self._probe_channel = self._probe_channel, ""  # an interrupted `receive` removes the channel
        await layer.receive(channel)
        self._probe_channel = channel

    async def _watch_credentials(self) -> None:
        """Recheck the credentials of all sockets of the process, with two queries each time."""
        while True:
            await asyncio.sleep(config(Sender).recheck_s)
            members = [member for room in self.rooms for member in room.members]
            try:
                valid = await in_thread(selectors.valid_sessions)(sessions={member.session for member in members})
            except Exception:
                logger.exception("Cannot check the credentials of %d websockets", len(members))
                continue
            for member in members:
                if member.session not in valid:
                    member.close(CREDENTIALS_CHANGED)


Hubs = WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]


def _status(hubs: Hubs) -> dict[str, object]:
    rooms = [len(room.members) for each in tuple(hubs.values()) for room in each.rooms]
    return {"accounts": len(rooms), "websockets": sum(rooms)}


_hubs: PerProcess[Hubs] = PerProcess("websockets", WeakKeyDictionary, status=_status)


def hub() -> Hub:
    """Return the hub of the running event loop."""
    loop, hubs = asyncio.get_running_loop(), _hubs()
    if loop not in hubs:
        hubs[loop] = Hub()
    return hubs[loop]
