"""S3 takes connections and says nothing: the rest of the platform does not notice, and S3 is found again."""

import base64
import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections

from luna.http import WSGIPool
from tests.api.imagestore.conftest import picture
from tests.factories import PASSWORD, make_account
from tests.unit.imagestore.conftest import use_storage
from tests.unit.imagestore.s3 import options, s3_server
from tests.unit.imagestore.test_s3 import deaf_server
from tests.ws.server import serving

THREADS, AT_ONCE, CLIENTS = 8, 5, 16
READ_TIMEOUT_S, PAUSE_S, SILENCE_S = 1.5, 0.5, 5.0


@pytest.fixture
def store() -> str:
    return "S3, see below"


@contextmanager
def platform() -> Iterator[int]:
    """The platform's own pool of threads behind a real server; its port."""
    pool = WSGIPool(get_wsgi_application(), threads=THREADS, max_body_bytes=10**6)
    try:
        with serving(pool) as port:
            yield port
    finally:
        barrier = threading.Barrier(THREADS)
        closing = [pool.threads.submit(lambda: (connections.close_all(), barrier.wait(10))) for _ in range(THREADS)]
        for each in closing:
            each.result()


class Caller:
    def __init__(self, port: int, login: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        credentials = base64.b64encode(f"{login}:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {credentials}", "Content-Type": "image/jpeg"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, int, float]:
        """Status, error code and seconds."""
        started = time.monotonic()
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        code = orjson.loads(answer.read()).get("error_code", 0)
        return answer.status, code, time.monotonic() - started


@pytest.mark.django_db(transaction=True)
def test_the_rest_answers_while_s3_is_silent(settings: Any) -> None:
    login, jpeg = make_account().login, picture()
    writes: list[tuple[int, int, float]] = []
    others: list[tuple[int, int, float]] = []
    ended = threading.Event()

    def write() -> None:
        caller = Caller(port, login)
        while not ended.is_set():
            writes.append(caller.ask("POST", "/6/samples/faces", jpeg))

    def read() -> None:
        caller = Caller(port, login)
        while not ended.is_set():
            others.append(caller.ask("GET", "/6/faces"))
            others.append(caller.ask("GET", "/healthcheck"))
            time.sleep(0.02)

    with platform() as port:
        with deaf_server() as address:
            waiting = {"read_timeout_s": READ_TIMEOUT_S, "attempts": 1, "pause_s": PAUSE_S, "at_once": AT_ONCE}
            use_storage(settings, "apps.imagestore.s3.S3Store", **options(address, "x"), **waiting)
            Caller(port, login).ask("GET", "/6/faces")  # the password is known from here on
            threads = [threading.Thread(target=write) for _ in range(CLIENTS)] + [threading.Thread(target=read)]
            for thread in threads:
                thread.start()
            time.sleep(SILENCE_S)
            ended.set()
            for thread in threads:
                thread.join()
            unhealthy = Caller(port, login).ask("GET", "/healthcheck?include_luna_services=1")
        outcomes = Counter((status, code) for status, code, _ in writes)
        slowest_s = sorted(seconds for _, _, seconds in others)
        print(f"{dict(outcomes)}; others: {len(others)}, median {slowest_s[len(slowest_s) // 2]:.3f} s, "
              f"slowest {slowest_s[-1]:.3f} s")  # fmt: skip
        assert set(outcomes) == {(500, 20007), (503, 20005)}
        assert outcomes[503, 20005] > outcomes[500, 20007]
        assert max(seconds for _, _, seconds in writes) < 3 * READ_TIMEOUT_S
        assert {status for status, _, _ in others} == {200}
        assert slowest_s[len(slowest_s) // 2] < 0.3
        assert slowest_s[-1] < READ_TIMEOUT_S + 1
        assert unhealthy[0] == 502

        with s3_server(int(address.rpartition(":")[2])):
            deadline = time.monotonic() + 10
            while (answer := Caller(port, login).ask("POST", "/6/samples/faces", jpeg))[0] != 201:
                assert answer[:2] == (503, 20005)
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert Caller(port, login).ask("GET", "/healthcheck?include_luna_services=1")[0] == 200
