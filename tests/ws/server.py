"""The platform's ASGI application behind a real uvicorn, in a thread of the test process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from django.db import connections

from apps.sender.threads import THREADS, executor


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
    config = uvicorn.Config(application, host="127.0.0.1", port=0, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("uvicorn did not start")
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        _close_connections()
