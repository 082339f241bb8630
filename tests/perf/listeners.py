"""Many websocket clients in one process, as cheap as possible: `python -m tests.perf.listeners PORT BASIC COUNT`.

It reads the frames that servers send: unmasked, in one piece. Each line of its input asks for `COUNT` clients × that
many events; it answers with one line: seconds from the first to the last frame, and p50 and p95 of the delays in ms,
from the time in `user_data` of each event.
"""

import asyncio
import re
import sys
import time

SENT = re.compile(rb'"user_data":"([0-9.]+) ')


class Client(asyncio.Protocol):
    """One websocket."""

    def __init__(self, crowd: "Crowd", request: bytes) -> None:
        self.crowd, self.request = crowd, request
        self.data = bytearray()
        self.opened = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.opened:
            head, separator, rest = self.data.partition(b"\r\n\r\n")
            if not separator:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self.opened, self.data = True, rest
            self.crowd.opened()
        place = 0
        while len(self.data) >= place + 4:
            size, start = self.data[place + 1], place + 2
            if size == 126:
                size, start = int.from_bytes(self.data[place + 2 : place + 4], "big"), place + 4
            if len(self.data) < start + size:
                break
            if self.data[place] == 0x81:  # a text in one frame
                self.crowd.received(self.data[start : start + size])
            elif self.data[place] == 0x89:  # a ping; the pong has an empty mask
                self.transport.write(b"\x8a" + bytes((0x80 | size, 0, 0, 0, 0)) + self.data[start : start + size])
            place = start + size
        del self.data[:place]


class Crowd:
    """All clients."""

    def __init__(self, count: int) -> None:
        self.missing, self.all_opened = count, asyncio.Event()
        self.waiting, self.done = 0, asyncio.Event()
        self.delays: list[float] = []
        self.first = self.last = 0.0

    def opened(self) -> None:
        self.missing -= 1
        if not self.missing:
            self.all_opened.set()

    def received(self, frame: bytearray) -> None:
        self.last = time.time()
        self.first = self.first or self.last
        if found := SENT.search(frame):
            self.delays.append(self.last - float(found[1]))
        self.waiting -= 1
        if not self.waiting:
            self.done.set()

    async def wait(self, frames: int) -> str:
        """Wait for so many frames since the last call."""
        self.waiting += frames
        if self.waiting:
            self.done.clear()
            await asyncio.wait_for(self.done.wait(), 120)
        delays = sorted(self.delays)
        p50, p95 = delays[len(delays) // 2], delays[int(len(delays) * 0.95)]
        answer = f"{self.last - self.first} {p50 * 1000} {p95 * 1000}"
        self.delays, self.first = [], 0.0
        return answer


def handshake(port: int, basic: str) -> bytes:
    return (
        f"GET /6/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: {basic}\r\n\r\n"
    ).encode()


async def main(port: int, basic: str, count: int) -> None:
    crowd, loop = Crowd(count), asyncio.get_running_loop()
    request = handshake(port, basic)
    for _ in range(count):
        await loop.create_connection(lambda: Client(crowd, request), "127.0.0.1", port)
    await asyncio.wait_for(crowd.all_opened.wait(), 120)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await crowd.wait(int(line) * count), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
