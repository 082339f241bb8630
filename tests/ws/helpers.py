"""Users and clients of the websocket."""

import base64
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from websockets.sync.client import ClientConnection

from apps.accounts.auth.principal import Principal
from apps.accounts.services import token_create
from apps.sender.services import event_publish

PASSWORD = "correct horse"


@dataclass(frozen=True)
class User:
    account_id: UUID
    login: str

    @property
    def basic(self) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{self.login}:{PASSWORD}".encode()).decode()}

    def bearer(self, permissions: dict[str, Any]) -> tuple[UUID, dict[str, str]]:
        principal = Principal(account_id=self.account_id, account_type="user", login=self.login)
        issued = token_create(principal=principal, permissions=permissions)
        return issued.token.token_id, {"Authorization": f"Bearer {issued.jwt}"}

    def publish(self, text: str = "", **facts: object) -> str:
        """An event with these facts; returns its id."""
        event_id = str(uuid4())
        event_publish(
            account_id=self.account_id,
            facts={"event_id": event_id, "tags": [], **facts},
            message={
                "event": {"event_id": event_id, "user_data": text},
                "handler_id": uuid4(),
                "event_create_time": "2026-01-01T00:00:00.000000Z",
                "event_end_time": "2026-01-01T00:00:00.000000Z",
            },
        )
        return event_id


Listen = Callable[..., ClientConnection]


def small_socket(port: int) -> socket.socket:
    """A connection whose kernel buffer holds little, so that its reader falls behind soon."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


def received_id(client: ClientConnection, timeout: float = 10) -> str:
    return json.loads(client.recv(timeout=timeout))["event"]["event_id"]
