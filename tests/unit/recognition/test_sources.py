"""Downloads of pictures: slow servers occupy a bounded number of requests for a bounded time."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fetch import Fetched, Timeouts
from apps.recognition.config import ImageDownloads
from apps.recognition.inputs import sources

URL = "http://slow.example/picture.jpg"


def test_slow_servers_leave_threads_for_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    release, begun = threading.Event(), threading.Semaphore(0)
    loaded: list[bytes] = []

    def slow(url: str, **_: Any) -> Fetched:
        begun.release()
        release.wait(20)
        return Fetched(b"picture", "image/jpeg")

    monkeypatch.setattr(sources, "fetch", slow)
    threads = [
        threading.Thread(target=lambda: loaded.extend(each.data for each in sources.load_urls([URL, URL], None)))
        for _ in range(sources.DOWNLOADS_AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert begun.acquire(timeout=20)
    with pytest.raises(LunaError) as caught:
        sources.load_urls([URL], None)
    assert (caught.value.code, caught.value.status) == (errors.SERVICE_BUSY, 503)
    release.set()
    for thread in threads:
        thread.join(20)
    assert loaded == [b"picture"] * 2 * sources.DOWNLOADS_AT_ONCE
    assert sources.load_urls([URL], None)[0].data == b"picture"


def test_time_limits_are_settings(monkeypatch: pytest.MonkeyPatch, configure: Callable[..., None]) -> None:
    limits: list[Timeouts] = []

    def picture(url: str, *, timeouts: Timeouts, **_: Any) -> Fetched:
        limits.append(timeouts)
        return Fetched(b"picture", "image/jpeg")

    monkeypatch.setattr(sources, "fetch", picture)
    sources.load_urls([URL], None)
    configure(ImageDownloads, request=30, connect=7, sock_connect=5, sock_request=3)
    sources.load_urls([URL], None)
    assert limits == [Timeouts(10, connect_s=10, silence_s=10), Timeouts(30, connect_s=5, silence_s=3)]
