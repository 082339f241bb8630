"""`Luna-Request-Id`: `<unix seconds>,<uuid>`, generated if a client sends none or a malformed one."""

import re
import time
import uuid
from contextvars import ContextVar

HEADER = "Luna-Request-Id"
KEY = "HTTP_LUNA_REQUEST_ID"  # of the header in the WSGI environment
PATTERN = re.compile(r"[0-9]{10},[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}")

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="-")


def new_request_id() -> str:
    """Generate a request id with the current time."""
    return f"{int(time.time())},{uuid.uuid4()}"


def accept_request_id(value: str | None) -> str:
    """Return the client's id if it is well formed, else a new one."""
    return value if value and PATTERN.fullmatch(value) else new_request_id()
