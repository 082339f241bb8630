"""One web process: `python -m luna.web FD` serves the listening socket that it inherits as FD.

The socket belongs to the supervisor. A process that dies takes no connection down that was not yet accepted:
they wait in the socket's queue for the next process.
"""

import socket
import sys
import traceback

import uvicorn

GRACEFUL_SHUTDOWN_S = 20


def serve(fd: int) -> None:
    """Serve until told to stop; then finish what has begun."""
    config = uvicorn.Config(
        "luna.asgi:application",
        lifespan="off",
        log_config=None,  # Django's logging takes the server's lines too
        access_log=False,
        server_header=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        ws_max_size=64 * 1024,
        ws_per_message_deflate=False,  # a compressor per subscriber costs more memory than it saves traffic
    )
    config.load()
    from apps.recognition import facade  # Django is set up now

    try:
        facade.warm_up()
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"Recognition cannot start: {error}")  # the last line of the log, which `up` repeats
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
