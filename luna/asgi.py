"""The ASGI application: one port serves HTTP (Django in a thread pool) and websockets (Channels)."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "luna.settings")

from django.core.wsgi import get_wsgi_application

http_application = get_wsgi_application()  # sets Django up, before the imports below

from channels.routing import URLRouter  # noqa: E402
from django.urls import re_path  # noqa: E402

from apps.common.config import Http, Web, config  # noqa: E402
from apps.common.process import PerProcess  # noqa: E402
from apps.sender.routing import websocket_urlpatterns  # noqa: E402
from luna.config import Connections, Database, Processes  # noqa: E402
from luna.http.access import LoggedWebsockets  # noqa: E402
from luna.http.answers import Receive, Send  # noqa: E402
from luna.http.application import WSGIPool  # noqa: E402
from luna.http.check import check_request  # noqa: E402
from luna.http.environ import Scope  # noqa: E402
from luna.http.limits import Limits  # noqa: E402
from luna.http.proxies import Proxies  # noqa: E402
from luna.postgresql.timeouts import bound_statements  # noqa: E402


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Reject the handshake of a websocket with an unknown path; the client receives HTTP 403."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})


bound_statements(statement_s=config(Database).statement_timeout_s, lock_s=config(Database).lock_timeout_s)
threads = config(Processes).http_threads
limits = Limits(
    threads=threads - threads // 2,
    recognition_threads=threads // 2,
    max_body_bytes=config(Http).request_max_size,
    queue_length=config(Connections).queue_length,
    queue_s=config(Connections).queue_s,
    body_s=config(Connections).body_s,
)
http = WSGIPool(http_application, limits, check=check_request)
lanes = PerProcess("http", lambda: http, status=WSGIPool.status)
lanes()  # it has a status from the start
# Channels routes to ASGI applications where Django's types expect views.
websocket = LoggedWebsockets(
    URLRouter([*websocket_urlpatterns, re_path("", refuse)]),  # type: ignore[arg-type]
    routes={f"/{each.pattern}" for each in websocket_urlpatterns},
)
_APPLICATIONS: dict[str, Any] = {"http": http, "websocket": websocket}


async def by_type(scope: Scope, receive: Receive, send: Send) -> None:
    """Route an ASGI connection by its type."""
    await _APPLICATIONS[scope["type"]](scope, receive, send)


# Without the setting no peer is trusted, loopback included: all local clients have this address.
application = Proxies(by_type, config(Web).forwarded_allow_ips)
