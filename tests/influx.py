"""A server that takes points as InfluxDB 2 does, and a strict reader of its line protocol."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-influxdb"
QUERY = {"org": ["luna"], "bucket": ["luna_monitoring"], "precision": ["ns"]}
_PART = r"(?:\\[,= ]|[^,= \n\\])+"
_VALUE = r'(?:-?[0-9.]+|"(?:[^"\\\n]|\\["\\n])*")'
_LINE = re.compile(
    rf"(?P<series>{_PART})(?P<tags>(?:,{_PART}={_PART})*) (?P<fields>{_PART}={_VALUE}(?:,{_PART}={_VALUE})*) "
    r"(?P<time>[0-9]{19})"
)


@dataclass(frozen=True)
class PointRead:
    series: str
    tags: dict[str, str]
    fields: dict[str, str]
    time_ns: int


def point_of(line: str) -> PointRead:
    matched = _LINE.fullmatch(line)
    assert matched is not None, line
    tags = dict(each.split("=", 1) for each in re.split(r"(?<!\\),", matched["tags"])[1:])
    fields = {name: value.strip('"') for name, value in re.findall(rf"({_PART})=({_VALUE})", matched["fields"])}
    assert list(tags) == sorted(tags)
    return PointRead(matched["series"], tags, fields, int(matched["time"]))


@dataclass
class Influx:
    """The server's state. `status`: of its answers; `accepts(body)` may do more with accepted lines."""

    port: int = 0
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    requests: int = 0
    points: list[PointRead] = field(default_factory=list)
    accepts: Callable[[bytes], object] = bytes.split

    def __post_init__(self) -> None:
        self.gate.set()


@contextmanager
def influx_server() -> Iterator[Influx]:
    state = Influx()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.requests += 1
            state.gate.wait(60)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            where = urlsplit(self.path)
            right = self.headers["Authorization"] == f"Token {TOKEN}"
            status = state.status if right else 401
            if status == 204:
                assert (where.path, parse_qs(where.query)) == ("/api/v2/write", QUERY)
                state.accepts(body)
                state.points += map(point_of, body.decode().split("\n"))
            answer = b'{"code":"unauthorized"}' if status == 401 else b""
            self.send_response(status)
            for name, value in {**state.headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield state
    finally:
        state.gate.set()
        server.shutdown()
        server.server_close()
