"""Clients of the HTTP API and of the websocket, without access to the platform's code."""

import json
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

TIMEOUT_S = 60.0


class DemoError(Exception):
    """The platform failed or answered unexpectedly. The command prints the message."""


class RefusedError(DemoError):
    """The platform rejected a request (4xx), such as one with an unreadable photograph."""


class Api:
    """A client of API 6 of a running platform."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.http = httpx.Client(base_url=self.url, timeout=TIMEOUT_S, trust_env=False)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request. Return the decoded JSON, the bytes of another body, or None for an empty body.

        Raises RefusedError for 4xx, DemoError for other failures.
        """
        try:
            answer = self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise DemoError(f"{self.url} does not answer ({error}). `make up` starts the platform.") from error
        if not answer.is_success:
            kind = RefusedError if answer.is_client_error else DemoError
            raise kind(f"{method} {path} was answered with HTTP {answer.status_code}: {answer.text[:300]}")
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            return answer.json()
        return answer.content or None

    def log_in(self, login: str, password: str) -> None:
        """Use basic authentication in the following requests."""
        self.http.auth = (login, password)

    @property
    def authorization(self) -> str:
        """The `Authorization` header of the login."""
        request = next(self.http.auth.sync_auth_flow(httpx.Request("GET", self.url)))  # type: ignore[union-attr]
        return request.headers["Authorization"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A websocket message and the time of its arrival (seconds of `time.perf_counter`)."""

    message: dict[str, Any]
    time_s: float


@dataclass
class Listener:
    """A subscriber of `/6/ws`: a thread collects its messages until `close`."""

    url: str
    authorization: str
    arrivals: list[Arrival] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def open(self) -> None:
        """Open the websocket. Raises DemoError when the handshake fails."""
        address = self.url.replace("http", "ws", 1) + "/6/ws"
        try:
            opening = connect(address, additional_headers={"Authorization": self.authorization}, proxy=None)
            self._socket = self._stack.enter_context(opening)
        except Exception as error:
            raise DemoError(f"{address} does not open: {error}") from error
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for text in self._socket:
                self.arrivals.append(Arrival(json.loads(text), time.perf_counter()))
        except ConnectionClosed:
            return

    def wait_for(self, count: int, timeout_s: float = 10.0) -> None:
        """Wait for `count` messages. Raises DemoError when fewer arrive within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while len(self.arrivals) < count:
            if time.monotonic() > deadline:
                raise DemoError(f"{count} events were generated, but {len(self.arrivals)} arrived on the websocket")
            time.sleep(0.005)

    def close(self) -> None:
        self._stack.close()
        self._thread.join(5)
