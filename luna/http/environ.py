"""The WSGI environment of an ASGI request."""

from typing import IO, Any
from urllib.parse import unquote_to_bytes

Scope = dict[str, Any]


def header(scope: Scope, name: bytes) -> str:
    """The value of a request header, empty when it is missing."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def environment(scope: Scope, body: IO[bytes], file_wrapper: object = None) -> dict[str, Any]:
    """The WSGI environment of an ASGI request whose whole body is in `body` (at its end)."""
    host, port = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope.get("luna.prefix", ""),
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": file_wrapper,
        "luna.headers": scope["headers"],  # as they came: WSGI cannot tell `_` from `-` in their names
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:  # would be taken for the header of the same name with dashes
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = value
    environ["CONTENT_LENGTH"] = str(body.tell())
    body.seek(0)
    return environ
