"""One web process: `python -m luna.web FD...` serves the listening sockets that it inherits.

The sockets belong to the supervisor. A process that dies takes no connection down that was not yet accepted:
they wait in the queue of their socket for the next process.
"""

import gc
import resource
import socket
import sys
import traceback

import uvicorn

from apps.common.config import config
from luna.config import Connections
from luna.http.limits import KEEP_ALIVE_S
from luna.http.protocol import Protocol, Server
from luna.http.websocket import WebsocketProtocol
from luna.startup import readable_settings, require_checks

GRACEFUL_SHUTDOWN_S = 20
# Open files that are no connections of clients: the database's, Redis's, networks, samples and bodies.
OTHER_FILES = 512


def serve(fds: list[int]) -> None:
    """Serve until told to stop; then finish what has begun. Ends with a sentence where a setting cannot be used."""
    open_files = raise_open_files()
    with readable_settings():
        server = configuration()
        server.load()
    from apps.common.plugins.services import plugins as service_plugins  # Django is set up now
    from apps.configurator.reloading import reloader
    from apps.events.saving import saver
    from apps.matching.engine import cached
    from apps.matching.plugins.router import plugins
    from apps.monitoring.counting import counts
    from apps.monitoring.processes import publisher
    from apps.recognition.run import facade

    require_checks()
    Protocol.max_connections = max(1, min(config(Connections).max_connections, open_files - OTHER_FILES))
    try:
        facade.warm_up()
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"Recognition cannot start: {error}")  # the last line of the log, which `up` repeats
    try:
        cached.service()  # maps the lists that are in memory before the first request
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"Matching cannot start: {error}")
    plugins()
    saver()  # stores the queued events of a process that was killed
    reloader().start()
    publisher().start("web")
    counts().start()
    service_plugins().start()
    gc.collect()
    gc.freeze()  # modules and networks: walking their 200,000 objects stops all requests for up to 0.1 s
    Server(server).run(sockets=[socket.socket(fileno=fd) for fd in fds])


def raise_open_files() -> int:
    """Raise the limit of open files to the hard limit; the limit in force."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 2**20


def configuration(application: object = "luna.asgi:application") -> uvicorn.Config:
    """How uvicorn serves the platform's ASGI application."""
    return uvicorn.Config(
        application,  # type: ignore[arg-type]
        http=Protocol,
        ws=WebsocketProtocol,
        lifespan="off",
        log_config=None,  # Django's logging takes the server's lines too
        access_log=False,
        server_header=False,
        proxy_headers=False,  # luna.http.proxies resolves them
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        ws_max_size=64 * 1024,
        ws_per_message_deflate=False,  # a compressor per subscriber costs more memory than it saves traffic
    )


if __name__ == "__main__":
    serve([int(fd) for fd in sys.argv[1:]])
