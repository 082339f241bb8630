"""The publisher while Redis hangs: bounded, in order, and never in the way."""

import threading
import time

import pytest

from apps.sender import publisher as module
from apps.sender.publisher import Message, Publisher


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """Return a channel layer that blocks until the event is set, and its received messages."""
    released, taken = threading.Event(), list[int]()

    async def send(group: str, message: Message) -> None:
        released.wait(20)
        number = message["n"]
        assert isinstance(number, int)
        taken.append(number)

    monkeypatch.setattr(Publisher, "_send", staticmethod(send))
    return released, taken


def test_what_waits_is_bounded_in_number(
    hanging: tuple[threading.Event, list[int]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released, taken = hanging
    monkeypatch.setattr(module, "PENDING_MESSAGES", 10)
    publisher = Publisher()
    started = time.perf_counter()
    for n in range(30):
        publisher.submit("group", {"n": n}, size_bytes=1)
    elapsed_s = time.perf_counter() - started
    released.set()
    publisher.drain(10)

    assert elapsed_s < 1
    assert 10 <= len(taken) <= 11  # one may have left the queue before it hung
    assert taken == sorted(taken)
    assert caplog.text.count("Dropped a notification") == 30 - len(taken)


def test_what_waits_is_bounded_in_bytes(
    hanging: tuple[threading.Event, list[int]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released, taken = hanging
    monkeypatch.setattr(module, "PENDING_BYTES", 1000)
    publisher = Publisher()
    for n in range(5):
        publisher.submit("group", {"n": n}, size_bytes=400)
    released.set()
    publisher.drain(10)
    publisher.submit("group", {"n": 5}, size_bytes=1000)  # there is room again
    publisher.drain(10)

    assert taken == [0, 1, 5]
    assert caplog.text.count("Dropped a notification") == 3
