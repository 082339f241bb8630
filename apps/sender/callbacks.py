"""Callbacks: events POSTed to the URLs that handlers name.

Delivery never delays a request: threads of each process deliver from a bounded queue. Transient failures are retried
with backoff. A server may therefore receive an event twice, with the same event id. Callbacks that do not fit into the
queue or cannot be delivered are logged and dropped.
"""

import base64
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import ormsgpack

from apps.common.config import OutgoingRequests, config
from apps.common.fetch import FetchError, RefusedError, Timeouts, post, shown_url
from apps.common.process import PerProcess
from apps.common.secrets import Secret, UnreadableSecretError
from apps.sender.services import message_frame

logger = logging.getLogger(__name__)

THREADS = 4
PENDING_CALLS = 1000
RETRY_DELAYS_S = (1.0, 10.0, 60.0)
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
JSON, MESSAGEPACK = "application/json", "application/msgpack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The target of a callback. `login` and `password` make Basic credentials; `timeout_s` limits one attempt.

    Credentials and header values stay encrypted until a call is made.
    """

    url: str
    content_type: str = JSON
    headers: Mapping[str, Secret] = field(default_factory=dict)
    login: Secret | None = None
    password: Secret | None = None
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Call:
    webhook: Webhook
    body: bytes

    @property
    def place(self) -> str:
        """The URL for logs."""
        return shown_url(self.webhook.url)


def webhook_call(*, webhook: Webhook, message: Mapping[str, object]) -> None:
    """Queue a callback with a message. Call it in `transaction.on_commit`; it never raises and never blocks."""
    try:
        frame = message_frame(message)
        packed = ormsgpack.packb(frame) if webhook.content_type == MESSAGEPACK else orjson.dumps(frame)
        _caller().submit(_Call(webhook, packed))
    except Exception:
        logger.exception("Cannot queue the callback to %s", shown_url(webhook.url))


class Caller:
    """The queue of this process's callbacks, and the threads that deliver them."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, int, _Call]] = []  # due time (monotonic seconds), order, attempts made, call
        self._numbers = itertools.count()
        self._unfinished = 0
        self._changed = threading.Condition()
        self._closed = False
        for number in range(THREADS):
            threading.Thread(target=self._run, name=f"sender-callback-{number}", daemon=True).start()

    def submit(self, call: _Call) -> None:
        with self._changed:
            if self._unfinished >= PENDING_CALLS:
                logger.error("Dropped the callback to %s: %d are waiting", call.place, PENDING_CALLS)
                return
            self._unfinished += 1
            self._push(call, attempts=0)

    def join(self) -> None:
        """Wait until all submitted calls are delivered or given up."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unfinished)

    def close(self) -> None:
        """End the threads. Waiting calls are lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._due:
                logger.error("Lost %d callbacks at the end of the process", len(self._due))

    def status(self) -> dict[str, object]:
        """Return the number of unfinished calls, its limit and the number of threads."""
        return {"unfinished_calls": self._unfinished, "max_calls": PENDING_CALLS, "threads": THREADS}

    def _push(self, call: _Call, *, attempts: int) -> None:
        delay_s = RETRY_DELAYS_S[attempts - 1] if attempts else 0.0
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._numbers), attempts, call))
        self._changed.notify_all()

    def _next(self) -> tuple[int, _Call] | None:
        """Wait until a call is due. Return its number of attempts and the call; None once closed."""
        with self._changed:
            while not self._closed:
                left_s = self._due[0][0] - time.monotonic() if self._due else None
                if left_s is not None and left_s <= 0:
                    return heapq.heappop(self._due)[2:]
                self._changed.wait(left_s)
        return None

    def _run(self) -> None:
        while (due := self._next()) is not None:
            attempts, call = due
            again = False
            try:
                again = _deliver(call) and attempts < len(RETRY_DELAYS_S)
            except Exception:
                logger.exception("Callback to %s failed", call.place)
            with self._changed:
                if again:
                    self._push(call, attempts=attempts + 1)
                else:
                    self._unfinished -= 1
                    self._changed.notify_all()


def _deliver(call: _Call) -> bool:
    """Make one attempt. Return True for a transient failure."""
    webhook = call.webhook
    try:
        status = post(
            webhook.url,
            body=call.body,
            headers=_headers(webhook),
            timeouts=Timeouts(webhook.timeout_s),
            allow_private=config(OutgoingRequests).allow_private_urls,
        )
    except (RefusedError, UnreadableSecretError) as error:
        logger.error("Callback to %s is not possible: %s", call.place, error)
        return False
    except FetchError as error:
        logger.warning("Callback failed: %s", error)
        return True
    if status >= 300:
        logger.warning("Callback to %s was answered with HTTP %d", call.place, status)
    return status in PASSING_STATUSES


def _headers(webhook: Webhook) -> dict[str, str]:
    headers = {name: value.reveal() for name, value in webhook.headers.items()}
    headers |= {"Content-Type": webhook.content_type, "User-Agent": "luna"}
    if webhook.login is not None:
        password = "" if webhook.password is None else webhook.password.reveal()
        credentials = base64.b64encode(f"{webhook.login.reveal()}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    return headers


_caller = PerProcess("callbacks", Caller, close=Caller.close, status=Caller.status)
