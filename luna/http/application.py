"""The ASGI application that answers HTTP with Django's WSGI side in a fixed pool of threads.

Database connections live in those threads, so their number is fixed too. A request gets a thread when its body has
arrived and its client is still connected; the thread is free again when the answer is made: no thread waits for a
client.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any

from apps.common import errors
from apps.common.bodies import bodies
from apps.common.errors import LunaError
from apps.common.limits import body_too_large
from apps.common.request_id import HEADER, KEY, accept_request_id, current_request_id
from apps.monitoring.traces import RequestSpan, in_span, request_span
from luna.http import access
from luna.http.answers import Answer, FileSource, Message, Receive, Send, WSGIApplication, send_error
from luna.http.environ import Scope, environment, header
from luna.http.lanes import ClientLeftError, Lane, Left
from luna.http.limits import Limits

logger = logging.getLogger(__name__)

# Answered by threads of their own: they tell what is wrong when everything else is busy.
RESERVED_PATHS = frozenset({"/healthcheck", "/version", "/6/healthcheck", "/6/version", "/metrics"})
# Requests with pictures take up to seconds. They have threads of their own: any number of them, or of slow servers that
# pictures are downloaded from, leaves threads for other requests.
RECOGNITION = re.compile(
    "/6/(?:sdk|iso|liveness|detector|extractor|handlers/[^/]+/(?:stream_)?events|verifiers/[^/]+/verifications)",
    re.ASCII,
)
READERS = 8  # threads that read files and streams for answers
BODYLESS = frozenset({"GET", "HEAD"})


class WSGIPool:
    """An ASGI application that answers HTTP with a WSGI application.

    `check` is called with the WSGI environment of a large or compressed body before it is received, in a thread, and
    raises LunaError for a request that would be refused whatever its body is.
    """

    def __init__(
        self, application: WSGIApplication, limits: Limits, *, check: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.application, self.limits, self.check = application, limits, check
        lane = partial(Lane, length=limits.queue_length, wait_s=limits.queue_s)
        self.lane = lane("http", limits.threads)
        self.recognition = (
            lane("http-recognition", limits.recognition_threads) if limits.recognition_threads else self.lane
        )
        self.reserved = lane("http-reserved", limits.reserved_threads)
        self.readers = ThreadPoolExecutor(READERS, thread_name_prefix="http-reader")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        current_request_id.set(accept_request_id(header(scope, HEADER.lower().encode())))  # each request has a context
        span = request_span(header(scope, b"traceparent"))
        notes: dict[str, Any] = {}
        status = access.CLIENT_LEFT_STATUS
        try:
            status = await self._respond(scope, receive, send, notes, span)
        finally:
            access.write_access(
                method=scope["method"], path=scope.get("path", ""), status=status, started_s=started_s, notes=notes
            )
            if span is not None:
                span.answered(
                    method=scope["method"],
                    route=notes.get(access.ROUTE) or access.route_of(scope.get("path", "")),
                    status=status,
                    error_code=notes.get(access.ERROR_CODE),
                    request_id=current_request_id.get(),
                )

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, notes: dict[str, Any], span: RequestSpan
    ) -> int:
        """Answer a request and return the status. The application fills `notes` for the access log."""
        unread = True  # a part of the body may be coming
        left: Left = scope.get("luna.left", _stays)  # of luna.http.protocol
        try:
            with bodies().new() as body:
                await self._receive(scope, receive, body, left)
                unread = False
                environ = environment(scope, body, FileSource)
                environ[KEY] = current_request_id.get()
                answer = await self._lane(scope).run(self._answer, environ, span, left=left)
        except ClientLeftError:
            return access.CLIENT_LEFT_STATUS
        except LunaError as error:
            notes[access.ERROR_CODE] = error.code
            await send_error(send, receive, error, unread=unread)
            return error.status
        if answer.status >= 400:
            notes[access.ERROR_CODE] = answer.error_code
        notes.update((key, environ[key]) for key in access.NOTED if key in environ)
        respond = scope.get("luna.respond")
        if respond is None or not answer.is_small or not respond(answer.status, answer.headers, answer.body):
            await answer.deliver(send, left, self.readers)
        return answer.status

    def status(self) -> dict[str, object]:
        """Return threads, busy threads, waiting and refused requests of each lane."""
        lanes = {"api": self.lane, "recognition": self.recognition, "reserved": self.reserved}
        return {
            f"{name}_{key}": value
            for name, lane in lanes.items()
            for key, value in (
                ("threads", lane.threads),
                ("busy", lane.busy),
                ("waiting", lane.waiting),
                ("refused", lane.refused),
            )
        }

    def close(self) -> None:
        """End the threads."""
        for lane in (self.lane, self.recognition, self.reserved):
            lane.close()
        self.readers.shutdown(wait=False)

    def _lane(self, scope: Scope) -> Lane:
        if scope["method"] in BODYLESS:
            return self.reserved if scope["path"] in RESERVED_PATHS else self.lane
        return self.recognition if RECOGNITION.fullmatch(scope["path"]) else self.lane

    def _answer(self, environ: dict[str, Any], span: RequestSpan) -> Answer:
        try:
            with in_span(span):  # this thread does not see the context of the event loop
                return Answer(self.application, environ)
        except Exception:
            logger.exception("unhandled exception on %s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            raise LunaError(errors.INTERNAL_ERROR) from None

    async def _receive(self, scope: Scope, receive: Receive, body: IO[bytes], left: Left) -> None:
        """Take the body in.

        Raises ClientLeftError for a client that left before its end, LunaError REQUEST_TIMEOUT, PAYLOAD_TOO_LARGE,
        INVALID_REQUEST, SERVICE_BUSY, and what `check` raises.
        """
        announced, chunked = header(scope, b"content-length"), header(scope, b"transfer-encoding")
        if scope["method"] in BODYLESS and not announced and not chunked:
            return
        if announced and not announced.isdigit():
            raise LunaError(errors.INVALID_REQUEST, "Content-Length is not a number")
        if announced and int(announced) > self.limits.max_body_bytes:
            raise body_too_large()
        large = not announced or int(announced) > self.limits.checked_from_bytes or header(scope, b"content-encoding")
        if large and self.check is not None:
            await self.lane.run(self.check, environment(scope, body), left=left)
        started = time.monotonic()
        more = True
        while more:
            message = await self._piece(receive, started)
            body.write(message.get("body", b""))
            more = message.get("more_body", False)
            elapsed_s, received = time.monotonic() - started, body.tell()
            if received > self.limits.max_body_bytes:
                raise body_too_large()
            if more and (elapsed_s - self.limits.body_grace_s) * self.limits.body_bytes_s > received:
                raise LunaError(errors.REQUEST_TIMEOUT, round(elapsed_s))

    async def _piece(self, receive: Receive, started: float) -> Message:
        left_s = started + self.limits.body_s - time.monotonic()
        patience_s = min(self.limits.body_silence_s, left_s)
        try:
            async with asyncio.timeout(patience_s):  # not `wait_for`, which makes a task of every piece
                message = await receive()
        except TimeoutError:
            raise LunaError(errors.REQUEST_TIMEOUT, round(time.monotonic() - started)) from None
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        return message


def _stays() -> bool:
    """Whether the client has left, where the server does not say."""
    return False
