"""Downloads of pictures: slow servers hold a bounded number of requests."""

import threading
from typing import Any

import pytest

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fetch import Fetched
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
