"""The platform in a process of its own, one worker, and clients that cost little beside it."""

import base64
import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from django.db import connections

from apps.accounts.services import account_create, account_delete
from tests.perf.events import PASSWORD, serve

BLOCK_BYTES = 1024 * 1024


class Client:
    """One kept connection. httpx takes as long for a request as the platform does; this takes a fifth of that."""

    def __init__(self, origin: str, headers: Mapping[str, str]) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=120)
        self.headers = dict(headers)

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> bytes:
        status, data = self.answer(method, path, body, content_type)
        assert status < 300, data
        return data

    def answer(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """Return the status and the body of any answer."""
        headers = self.headers | ({"Content-Type": content_type} if body is not None else {})
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def drain(self, path: str) -> int:
        """Reads an answer and drops it; how many bytes came."""
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        assert answer.status == 200
        buffer, size = bytearray(BLOCK_BYTES), 0
        while count := answer.readinto(buffer):
            size += count
        return size


@contextmanager
def platform() -> Iterator[tuple[UUID, Callable[[], Client]]]:
    """Return an account and a function that creates clients with its login and password."""
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    credentials = base64.b64encode(f"{account.login}:{PASSWORD}".encode()).decode()
    process, origin = serve()
    try:
        yield account.account_id, lambda: Client(origin, {"Authorization": f"Basic {credentials}"})
    finally:
        process.terminate()
        process.wait(30)
        account_delete(account=account)
        connections.close_all()


def at_once(workers: int, make: Callable[[], Callable[[int], object]], count: int) -> float:
    """Return the seconds until `workers` threads have called the result of `make()` for 0 .. count - 1."""
    gate = threading.Barrier(workers + 1)

    def work(number: int) -> None:
        do = make()
        gate.wait()
        for place in range(number, count, workers):
            do(place)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started
