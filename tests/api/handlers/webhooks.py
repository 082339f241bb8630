"""A server that receives callbacks."""

from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

STATUSES = {"/broken": 500, "/busy": 429, "/moved": 307, "/refused": 403}


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


class Hook(BaseHTTPRequestHandler):
    received: list[Received]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(Received(self.path, dict(self.headers), body))
        self.send_response(STATUSES.get(self.path, 200))
        self.send_header("Location", "/elsewhere")
        if self.path == "/busy":
            self.send_header("Retry-After", "120")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""
