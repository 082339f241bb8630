"""The publisher while Redis hangs: bounded, in order, and never in the way."""

import threading
from uuid import uuid4

import pytest

from apps.sender import publisher as module
from apps.sender.publisher import Publisher
from apps.sender.sent import Notification


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """Return a Redis that blocks until the event is set, and the numbers of its received messages."""
    released, taken = threading.Event(), list[int]()

    def send(notification: Notification) -> None:
        released.wait(60)
        if notification.text:  # else it announces dropped ones
            taken.append(int(notification.text[:2]))

    monkeypatch.setattr(module, "notification_send", send)
    return released, taken


def numbered(n: int, *, size_bytes: int) -> Notification:
    return Notification(uuid4(), None, b"", f"{n:02}".ljust(size_bytes))


def test_what_waits_is_bounded_in_number(
    hanging: tuple[threading.Event, list[int]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released, taken = hanging
    monkeypatch.setattr(module, "PENDING_MESSAGES", 10)
    publisher = Publisher()
    for n in range(30):
        publisher.submit(numbered(n, size_bytes=2))
    assert taken == [], "no call waited for Redis"
    released.set()
    publisher.drain(60)

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
        publisher.submit(numbered(n, size_bytes=400))
    released.set()
    publisher.drain(10)
    publisher.submit(numbered(5, size_bytes=1000))  # there is room again
    publisher.drain(10)

    assert taken == [0, 1, 5]
    assert caplog.text.count("Dropped a notification") == 3
