"""The queue of a websocket: frames that are written at once, and those that wait for a client that does not read."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from apps.sender.frames import Message
from apps.sender.hub import SLOW_READER, Subscription


class Client:
    """A websocket whose `reads` tells whether frames can be written."""

    def __init__(self) -> None:
        self.reads = True
        self.written: list[bytes] = []

    def write(self, frames: bytes) -> bool:
        if self.reads:
            self.written.append(frames)
        return self.reads


def run(work: Callable[[Subscription, Client], Any], *, max_messages: int = 100) -> None:
    async def main() -> None:
        client = Client()
        session: Any = None
        subscription = Subscription(
            session,
            account_id=uuid4(),
            accepts=lambda facts: True,
            max_messages=max_messages,
            max_bytes=10**6,
            write=client.write,
        )
        await work(subscription, client)

    asyncio.run(main())


def frames(*texts: str) -> bytes:
    return b"".join(bytes((0x81, len(text))) + text.encode() for text in texts)


def test_messages_that_arrive_together_are_written_once() -> None:
    async def work(subscription: Subscription, client: Client) -> None:
        subscription.offer(Message("before"))  # events that were missed are sent first
        await asyncio.sleep(0)
        assert client.written == []
        assert await subscription.next() == "before"
        waiting = asyncio.create_task(subscription.next())
        await asyncio.sleep(0)
        subscription.skip(frozenset({"missed"}))
        for text, event_id in (("a", 1), ("b", "missed"), ("c", 2)):
            subscription.offer(Message(text, event_id))
        await asyncio.sleep(0)
        assert client.written == [frames("a", "c")]
        client.reads = False
        for text in "def":
            subscription.offer(Message(text))
        assert await waiting == "d"
        client.reads = True
        subscription.offer(Message("g"))
        await asyncio.sleep(0)
        assert [await subscription.next() for _ in range(3)] == ["e", "f", "g"]  # in order: "d" is not sent yet
        assert len(client.written) == 1

    run(work)


def test_a_burst_larger_than_the_queue_closes_only_a_client_that_does_not_read() -> None:
    async def work(subscription: Subscription, client: Client) -> None:
        waiting = asyncio.create_task(subscription.next())
        await asyncio.sleep(0)
        for number in range(7):
            subscription.offer(Message(str(number)))
        await asyncio.sleep(0)
        assert b"".join(client.written) == frames(*"0123456")
        assert not subscription.closing.done()
        client.reads = False
        for number in range(4):
            subscription.offer(Message(str(number)))
        assert subscription.closing.result() == SLOW_READER
        waiting.cancel()

    run(work, max_messages=3)
