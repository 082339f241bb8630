"""HTTP and websocket, as any integrator's program would speak them."""

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
    """The platform did not answer as it should; the message is for the person at the terminal."""


class RefusedError(DemoError):
    """The platform refused what it was given (4xx), a photograph perhaps."""


class Api:
    """API 6 of a running platform."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.http = httpx.Client(base_url=self.url, timeout=TIMEOUT_S, trust_env=False)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The decoded answer, None without one. Raises RefusedError for 4xx, DemoError for other failures."""
        try:
            answer = self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise DemoError(
                f"{self.url} does not answer ({error}). Is the platform up? `make up` starts it."
            ) from error
        if not answer.is_success:
            kind = RefusedError if answer.is_client_error else DemoError
            raise kind(f"{method} {path} was answered with HTTP {answer.status_code}: {answer.text[:300]}")
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            return answer.json()
        return answer.content or None

    def log_in(self, login: str, password: str) -> None:
        """Basic authentication from now on."""
        self.http.auth = (login, password)

    @property
    def authorization(self) -> str:
        """The header that `log_in` makes."""
        request = next(self.http.auth.sync_auth_flow(httpx.Request("GET", self.url)))  # type: ignore[union-attr]
        return request.headers["Authorization"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message of the websocket and when it came (seconds of `time.perf_counter`)."""

    message: dict[str, Any]
    time_s: float


@dataclass
class Listener:
    """A websocket at `/6/ws` that is read in a thread until `close`."""

    url: str
    authorization: str
    arrivals: list[Arrival] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def open(self) -> None:
        """Raises DemoError when the handshake is refused."""
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
        """Raises DemoError when fewer messages have come by then."""
        deadline = time.monotonic() + timeout_s
        while len(self.arrivals) < count:
            if time.monotonic() > deadline:
                raise DemoError(f"{count} events were made, but {len(self.arrivals)} arrived on the websocket")
            time.sleep(0.005)

    def close(self) -> None:
        self._stack.close()
        self._thread.join(5)
