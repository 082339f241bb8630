"""One web process: `python -m luna.web FD` serves the listening socket that it inherits as FD.

The socket belongs to the supervisor. A process that dies takes no connection down that was not yet accepted:
they wait in the socket's queue for the next process.
"""

import socket
import sys
import traceback

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from apps.common import errors
from apps.common.config import SettingsError, Web, config
from apps.common.errors import LunaError
from luna.http import error_answer

GRACEFUL_SHUTDOWN_S = 20
# What has come when the headers are complete may be a part of the body already: one read of the socket, 256 KiB.
HEAD_LIMIT_BYTES = 320 * 1024


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, with a bound on request line and headers and the platform's error body for what is not HTTP."""

    head_bytes = 0
    in_head = True

    def data_received(self, data: bytes) -> None:
        if self.in_head:
            self.head_bytes += len(data)
        if self.head_bytes > HEAD_LIMIT_BYTES:
            self.send_400_response("Request line and headers are too large")
        else:
            super().data_received(data)

    def on_headers_complete(self) -> None:
        self.head_bytes, self.in_head = 0, False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.in_head = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        headers, body = error_answer(LunaError(errors.INVALID_REQUEST, msg))
        lines = [name + b": " + value + b"\r\n" for name, value in (*self.server_state.default_headers, *headers)]
        self.transport.write(b"".join([STATUS_LINE[400], *lines, b"\r\n", body]))
        self.transport.close()


def serve(fd: int) -> None:
    """Serve until told to stop; then finish what has begun. Ends with a sentence where a setting cannot be used."""
    try:
        server = _server()
        server.load()
    except SettingsError as error:
        sys.exit(f"Luna cannot start: {error}")
    from apps.recognition.run import facade  # Django is set up now
    from luna.startup import require_checks

    require_checks()
    try:
        facade.warm_up()
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"Recognition cannot start: {error}")  # the last line of the log, which `up` repeats
    uvicorn.Server(server).run(sockets=[socket.socket(fileno=fd)])


def _server() -> uvicorn.Config:
    proxies = config(Web).forwarded_allow_ips
    return uvicorn.Config(
        "luna.asgi:application",
        http=Protocol,
        lifespan="off",
        log_config=None,  # Django's logging takes the server's lines too
        access_log=False,
        server_header=False,
        # Proxies whose X-Forwarded-For and X-Forwarded-Proto count. uvicorn would trust loopback, where any client of
        # a loopback port comes from.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        ws_max_size=64 * 1024,
        ws_per_message_deflate=False,  # a compressor per subscriber costs more memory than it saves traffic
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]))
