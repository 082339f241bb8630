"""Webhooks: events POSTed to addresses that handlers name.

Delivery is at most once and never holds up a request: a bounded queue, emptied by a few threads of each process. What
does not fit, or cannot be delivered, is logged and dropped.
"""

import base64
import logging
import os
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import ormsgpack
from django.conf import settings

from apps.common.fetch import FetchError, post
from apps.common.request_id import HEADER, current_request_id

logger = logging.getLogger(__name__)

THREADS = 4
PENDING_CALLS = 1000
JSON, MESSAGEPACK = "application/json", "application/msgpack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where an event goes. `login` and `password` make Basic credentials; `timeout_s` bounds the whole call."""

    url: str
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    login: str | None = None
    password: str = ""
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Call:
    webhook: Webhook
    headers: Mapping[str, str]
    body: bytes


def webhook_call(*, webhook: Webhook, message: Mapping[str, object]) -> None:
    """POSTs a message soon. Call it in `transaction.on_commit`; it never raises and never waits."""
    try:
        frame = {**message, HEADER: current_request_id.get()}
        packed = ormsgpack.packb(frame) if webhook.content_type == MESSAGEPACK else orjson.dumps(frame)
        _caller().submit(_Call(webhook, _headers(webhook), packed))
    except Exception:
        logger.exception("a callback to %s cannot be made", webhook.url)


def _headers(webhook: Webhook) -> dict[str, str]:
    headers = {**webhook.headers, "Content-Type": webhook.content_type, "User-Agent": "luna"}
    if webhook.login is not None:
        credentials = base64.b64encode(f"{webhook.login}:{webhook.password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    return headers


class Caller:
    """The queue of this process and its threads."""

    def __init__(self) -> None:
        self._pending: queue.Queue[_Call] = queue.Queue(PENDING_CALLS)
        for number in range(THREADS):
            threading.Thread(target=self._run, name=f"sender-callback-{number}", daemon=True).start()

    def submit(self, call: _Call) -> None:
        try:
            self._pending.put_nowait(call)
        except queue.Full:
            logger.error("a callback to %s is dropped: %d are waiting", call.webhook.url, PENDING_CALLS)

    def join(self) -> None:
        """Waits until everything submitted was tried."""
        self._pending.join()

    def _run(self) -> None:
        while True:
            call = self._pending.get()
            try:
                _deliver(call)
            except Exception:
                logger.exception("a callback to %s failed", call.webhook.url)
            finally:
                self._pending.task_done()


def _deliver(call: _Call) -> None:
    try:
        status = post(
            call.webhook.url,
            body=call.body,
            headers=call.headers,
            timeout_s=call.webhook.timeout_s,
            allow_private=settings.LUNA_ALLOW_PRIVATE_URLS,
        )
    except FetchError as error:
        logger.warning("a callback is lost: %s", error)
    else:
        if status >= 300:
            logger.warning("a callback to %s was answered with HTTP %d", call.webhook.url, status)


_running: Caller | None = None
_lock = threading.Lock()


def _caller() -> Caller:
    """The caller of this process, started by the first call."""
    global _running
    with _lock:
        if _running is None:
            _running = Caller()
        return _running


def _forget() -> None:
    """A forked worker has the object but not the threads."""
    global _running, _lock
    _running, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
