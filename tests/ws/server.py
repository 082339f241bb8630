"""The platform's ASGI application behind the platform's own server, in a thread of the test process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from apps.sender.threads import THREADS, executor
from luna.http.protocol import Server
from luna.web import configuration


def _close_connections() -> None:
    """Each thread of the sender's pool closes its own, so that the test database can be dropped."""
    barrier = threading.Barrier(THREADS)

    def close() -> None:
        connections.close_all()
        barrier.wait(10)

    for future in [executor().submit(close) for _ in range(THREADS)]:
        future.result(10)


@contextmanager
def serving(application: Any) -> Iterator[int]:
    """Serves on a free loopback port; yields it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = Server(configuration(application))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("uvicorn did not start")
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        getattr(application, "close", lambda: None)()
        _close_connections()
