"""S3 takes connections and says nothing: the rest of the platform does not notice, and S3 is found again."""

import threading
import time
from collections import Counter
from typing import Any

import pytest

from tests.api.helpers import processes_run
from tests.api.imagestore.helpers import picture
from tests.factories import make_account
from tests.platform import Caller, platform
from tests.storages import options, s3_server, use_storage
from tests.unit.imagestore.test_s3 import deaf_server

THREADS, AT_ONCE, CLIENTS = 8, 5, 16
READ_TIMEOUT_S, PAUSE_S, SILENCE_S = 1.5, 0.5, 3.5


@pytest.fixture
def store() -> str:
    return "S3, see below"


def timed(caller: Caller, method: str, path: str, *body: Any) -> tuple[int, int, float]:
    """Status, error code and seconds."""
    started = time.monotonic()
    status, answer = caller.ask(method, path, *body)
    return status, answer.get("error_code", 0), time.monotonic() - started


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("finder", ["a client", "the health check"])
def test_the_rest_answers_while_s3_is_silent(settings: Any, finder: str) -> None:
    login, jpeg = make_account().login, picture()
    writes: list[tuple[int, int, float]] = []
    others: list[tuple[int, int, float]] = []
    ended = threading.Event()

    def write() -> None:
        caller = Caller(port, login)
        while not ended.is_set():
            writes.append(timed(caller, "POST", "/6/samples/faces", jpeg, "image/jpeg"))

    def read() -> None:
        caller = Caller(port, login)
        while not ended.is_set():
            others.append(timed(caller, "GET", "/6/faces"))
            others.append(timed(caller, "GET", "/healthcheck"))
            time.sleep(0.02)

    with platform(THREADS) as port:
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
            processes_run()
            unhealthy = Caller(port, login).ask("GET", "/healthcheck?include_luna_services=1")
        outcomes = Counter((status, code) for status, code, _ in writes)
        slowest_s = sorted(seconds for _, _, seconds in others)
        print(f"{dict(outcomes)}; others: {len(others)}, median {slowest_s[len(slowest_s) // 2]:.3f} s, "
              f"slowest {slowest_s[-1]:.3f} s")  # fmt: skip
        busy = outcomes.pop((503, 37100), 0)  # on a slow machine a request may wait too long for a thread
        assert set(outcomes) == {(500, 20007), (503, 20005)}
        assert outcomes[503, 20005] > outcomes[500, 20007] > busy
        assert {status for status, _, _ in others} == {200}
        waited = sum(seconds >= READ_TIMEOUT_S for seconds in slowest_s)  # as long as S3 may be silent
        assert waited <= len(others) // 4
        assert unhealthy[0] == 502
        assert unhealthy[1]["detail"].startswith("image_store: ")

        with s3_server(int(address.rpartition(":")[2])):
            ask: tuple[Any, ...]
            if finder == "a client":
                ask, found = ("POST", "/6/samples/faces", jpeg, "image/jpeg"), 201
            else:
                ask, found = ("GET", "/healthcheck?include_luna_services=1"), 200
            processes_run()
            deadline = time.monotonic() + 10
            while timed(Caller(port, login), *ask)[0] != found:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert Caller(port, login).ask("GET", "/healthcheck?include_luna_services=1")[0] == 200
            assert Caller(port, login).ask("POST", "/6/samples/faces", jpeg, "image/jpeg")[0] == 201
