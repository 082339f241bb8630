"""Headers of proxies in front of the platform: address of the client, scheme, and prefix of the paths."""

from collections.abc import Sequence

from django.urls import set_script_prefix
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from apps.common.config import ExternalAddress, config
from apps.common.config.prefix import parse_prefix
from luna.http.answers import Receive, Send
from luna.http.environ import Scope, header


class Proxies:
    """An ASGI application that resolves the headers of trusted proxies for `application`.

    uvicorn's middleware resolves `X-Forwarded-For` and `X-Forwarded-Proto`. The prefix is the path of the external
    address, otherwise `X-Forwarded-Prefix`. Paths may arrive with or without the prefix: proxies remove it or keep it.
    `scope["luna.prefix"]` holds the prefix, `path` and `raw_path` hold the rest.
    """

    def __init__(self, application: object, trusted: Sequence[str]) -> None:
        peers = "*" if "*" in trusted else list(trusted)
        self._application = ProxyHeadersMiddleware(application, peers)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            prefix = config(ExternalAddress).path or self._forwarded_prefix(scope)
            scope["luna.prefix"] = prefix
            if prefix:
                _remove(prefix, scope)
                set_script_prefix(f"{prefix}/")  # of this request: links of errors are made without Django
        await self._application(scope, receive, send)  # type: ignore[arg-type]

    def _forwarded_prefix(self, scope: Scope) -> str:
        """Return the prefix of X-Forwarded-Prefix; empty for other peers than proxies and for an invalid header."""
        peer = scope.get("client")
        if peer is None or peer[0] not in self._application.trusted_hosts:
            return ""
        return parse_prefix(header(scope, b"x-forwarded-prefix")) or ""


def _remove(prefix: str, scope: Scope) -> None:
    path: str = scope["path"]
    raw: bytes = scope["raw_path"]
    if raw == prefix.encode() or raw.startswith(f"{prefix}/".encode()):
        scope["path"], scope["raw_path"] = path[len(prefix) :] or "/", raw[len(prefix) :] or b"/"
