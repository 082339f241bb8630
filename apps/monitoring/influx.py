"""Points of requests for InfluxDB 2, with the series, tags and fields of LUNA PLATFORM.

A request appends to a bounded buffer and never waits. A thread of the process writes the points in batches: line
protocol to `/api/v2/write`. If InfluxDB is away, the batch is kept and the buffer fills; further points are dropped and
counted. A batch that InfluxDB refuses is dropped and counted, because a retry would fail too.
"""

import logging
import threading
import time
from collections import deque
from urllib.parse import urlencode

from apps.common.config import config
from apps.common.fetch import FetchError, Timeouts, send
from apps.common.process import PerProcess, Status
from apps.monitoring.answered import Answered, path_label, service_of
from apps.monitoring.config import InfluxMonitoring
from apps.monitoring.metrics.requests import error_label

logger = logging.getLogger(__name__)

MAX_PENDING = 10_000  # requests: about 5 MB
BATCH = 2_000
TIMEOUTS = Timeouts(total_s=5.0, connect_s=2.0)
MAX_ANSWER_BYTES = 64 * 1024
SHOWN_CHARACTERS = 200  # of InfluxDB's answer, in the log
LONGEST_PAUSE_S = 30.0
CLOSE_S = 2.0  # for the last points when the process ends
NO_ACCOUNT = "none"
# InfluxDB is overloaded or starting: the batch is sent again. It answers other statuses each time.
RETRIED = frozenset({429, 500, 502, 503, 504})
_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n"})
_TEXT = str.maketrans({'"': r"\"", "\\": r"\\", "\n": r"\n"})

Pending = tuple[int, Answered]  # Unix time of the request's start in ns


class RefusedPointsError(Exception):
    """InfluxDB refused a batch for good. The message is for the log."""


class Points:
    """The buffer of this process, and the thread that empties it."""

    def __init__(self) -> None:
        self.written = 0
        self._overflowed, self._refused = 0, 0  # dropped requests: of the event loop, and of the thread
        self.failure = ""  # why the last write failed; empty if it succeeded
        self._pending: deque[Pending] = deque()
        self._batch: list[Pending] = []  # that is being written
        self._failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)
        self._thread.start()

    def add(self, answered: Answered) -> None:
        """Append a request, or drop it if the buffer is full."""
        if len(self._pending) >= MAX_PENDING:
            self._overflowed += 1
            return
        self._pending.append((time.time_ns() - int(answered.duration_s * 1e9), answered))

    @property
    def dropped(self) -> int:
        """The number of dropped requests."""
        return self._overflowed + self._refused

    def flush(self) -> None:
        """Write batches until the buffer is empty or a write fails."""
        while not self._batch or self._write():
            if not self._pending:
                return
            while self._pending and len(self._batch) < BATCH:
                self._batch.append(self._pending.popleft())

    def status(self) -> Status:
        """Return the numbers of waiting, written and dropped requests, and whether the last write failed."""
        return {
            "pending": len(self._pending) + len(self._batch),
            "written": self.written,
            "dropped": self.dropped,
            "failing": int(bool(self.failure)),
        }

    def close(self) -> None:
        """Write what is left, for `CLOSE_S` at most."""
        self._stop.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._stop.wait(min(config(InfluxMonitoring).flushing_period * 2**self._failures, self._longest_s())):
            self._flush_safely()
        self._flush_safely()

    def _longest_s(self) -> float:
        return max(LONGEST_PAUSE_S, config(InfluxMonitoring).flushing_period)

    def _flush_safely(self) -> None:
        try:
            self.flush()
        except Exception:  # the thread must not end
            logger.exception("Points for InfluxDB cannot be written")
            self._drop()

    def _write(self) -> bool:
        """Write the batch. Return False if it is kept for a retry."""
        settings = config(InfluxMonitoring)
        if not settings.send_data_for_monitoring:
            self._drop()
            return True
        try:
            write(settings, "\n".join(line for start_ns, each in self._batch for line in lines(start_ns, each)))
        except FetchError as error:
            self._failed(str(error))
            self._failures = min(self._failures + 1, 10)
            return False
        except RefusedPointsError as error:
            self._failed(str(error))
            self._drop()
            return True
        if self.failure:
            logger.info("InfluxDB accepts points again")
        self.failure, self._failures = "", 0
        self.written += len(self._batch)
        self._batch = []
        return True

    def _drop(self) -> None:
        self._refused += len(self._batch)
        self._batch, self._failures = [], 0

    def _failed(self, reason: str) -> None:
        if not self.failure:  # one line per outage
            logger.warning("InfluxDB does not accept points: %s", reason)
        self.failure = reason


def write(settings: InfluxMonitoring, body: str) -> None:
    """Write lines into the bucket. Raises FetchError for a failure that may pass, else RefusedPointsError."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    query = urlencode({"org": settings.organization, "bucket": settings.bucket, "precision": "ns"})
    url = f"http{'s' if settings.use_ssl else ''}://{host}:{settings.port}/api/v2/write?{query}"
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "luna"}
    if token := settings.token.get_secret_value():
        headers["Authorization"] = f"Token {token}"
    answer = send(
        "POST", url, body=body.encode(), headers=headers, max_bytes=MAX_ANSWER_BYTES, timeouts=TIMEOUTS,
        allow_private=True,
    )  # fmt: skip
    if answer.status // 100 == 2:
        return
    reason = f"HTTP {answer.status} {answer.data.decode(errors='replace')[:SHOWN_CHARACTERS]}".strip()
    if answer.status in RETRIED:
        raise FetchError(reason)
    raise RefusedPointsError(reason)


def lines(start_ns: int, answered: Answered) -> list[str]:
    """Return the points of a request in line protocol: `requests`, and `errors` for a status of 400 or more."""
    tags = {
        "account_id": str(answered.account_id or NO_ACCOUNT),
        "route": path_label(answered.method, answered.route),
        "service": service_of(answered.route),
        "status_code": str(answered.status),
    }
    if answered.handler_id is not None and answered.status < 400:  # clients may name any number of others
        tags["handler_id"] = str(answered.handler_id)
    request_id = f'request_id="{answered.request_id.translate(_TEXT)}"'
    found = [f"{_series('requests', tags)} execution_time={answered.duration_s:.6f},{request_id} {start_ns}"]
    if answered.status >= 400:
        tags["error_code"] = error_label(answered.error_code)
        found.append(f"{_series('errors', tags)} {request_id} {start_ns}")
    return found


def _series(name: str, tags: dict[str, str]) -> str:
    """Return a series. InfluxDB reads tags faster in the order of their names."""
    return ",".join((name, *(f"{tag}={text.translate(_TAG)}" for tag, text in sorted(tags.items()))))


points = PerProcess("influx", Points, close=Points.close, status=Points.status)
