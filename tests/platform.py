"""The platform's HTTP behind a real server in the test process: its own pool of threads, real transactions."""

import base64
import http.client
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from django.core.wsgi import get_wsgi_application
from django.db import connections

from luna.http.application import WSGIPool
from luna.http.check import check_request
from luna.http.lanes import Lane
from luna.http.limits import Limits
from luna.http.proxies import Proxies
from tests.factories import PASSWORD
from tests.ws.server import serving


@contextmanager
def platform(
    threads: int, max_body_bytes: int = 10**6, proxies: Sequence[str] = (), *, websockets: bool = False
) -> Iterator[int]:
    """Its port on loopback, where it trusts `proxies`. Tests that use it need `transactional_db`."""
    limits = Limits(threads=threads, reserved_threads=1, max_body_bytes=max_body_bytes)
    pool = WSGIPool(get_wsgi_application(), limits, check=check_request)
    with serving(Proxies(_with_websockets(pool) if websockets else pool, proxies)) as port:
        try:
            yield port
        finally:
            for lane, count in ((pool.lane, threads), (pool.reserved, 1)):
                close_connections(lane, count)
            pool.close()


def _with_websockets(pool: WSGIPool) -> Any:
    from luna.asgi import websocket  # it makes a pool of its own, which no other test needs

    async def by_type(scope: Any, receive: Any, send: Any) -> None:
        await (websocket if scope["type"] == "websocket" else pool)(scope, receive, send)

    return by_type


class Closing:
    """A job that closes the database connection of its thread, so that the test database can be dropped."""

    since_s = 0.0

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier = barrier

    def run(self) -> None:
        connections.close_all()
        self.barrier.wait(10)


def close_connections(lane: Lane, threads: int) -> None:
    barrier = threading.Barrier(threads + 1)
    with lane._changed:
        jobs: list[Any] = [Closing(barrier) for _ in range(threads)]  # all that a thread needs of a Job
        lane._queue.extend(jobs)
        lane._changed.notify_all()
    barrier.wait(10)


class Caller:
    """One kept connection of one account."""

    def __init__(self, port: int, login: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        credentials = base64.b64encode(f"{login}:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {credentials}"}

    def ask(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer. A body that is not bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        self.connection.request(method, path, data, self.headers | {"Content-Type": content_type})
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, orjson.loads(content) if content else {}
