"""Wake-ups between processes: a Redis channel reports new work, so that workers do not poll fast.

A lost wake-up delays the work until the next poll of the workers; nothing depends on Redis.
"""

import logging
import threading
from collections.abc import Callable

import redis

from apps.common.config import Services, config
from apps.common.errors import LunaError
from apps.common.redis_client import CONNECTION, client

logger = logging.getLogger(__name__)

PAUSE_S = 0.005  # wake-ups of this time are joined
RECONNECT_S = 1.0


class Waker:
    """A thread that publishes wake-ups: a hanging Redis does not delay requests."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._asked = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name=f"{channel} waker", daemon=True).start()

    def wake(self) -> None:
        self._asked.set()

    def close(self) -> None:
        self._closed.set()
        self._asked.set()

    def _run(self) -> None:
        while self._asked.wait() and not self._closed.is_set():
            self._asked.clear()
            try:
                client().publish(self._channel, b"")
            except LunaError as error:
                logger.warning("Workers are not woken by %s: %s", self._channel, error)
            self._closed.wait(PAUSE_S)


class Listener:
    """A thread that calls `woken` for each wake-up of a channel."""

    def __init__(self, channel: str, woken: Callable[[], None]) -> None:
        self._channel = channel
        self._woken = woken
        self._closed = threading.Event()
        threading.Thread(target=self._run, name=f"{channel} listener", daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except redis.RedisError as error:
                logger.warning("No wake-ups by %s: %r", self._channel, error)
                self._closed.wait(RECONNECT_S)

    def _listen(self) -> None:
        with (
            redis.Redis.from_url(config(Services).redis_url.get_secret_value(), **CONNECTION) as connection,
            connection.pubsub(ignore_subscribe_messages=True) as channel,
        ):
            channel.subscribe(self._channel)
            while not self._closed.is_set():
                if channel.get_message(timeout=1.0) is not None:
                    self._woken()
