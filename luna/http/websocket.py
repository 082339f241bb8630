"""uvicorn's websockets, which also accept frames that are made already."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from apps.sender.frames import WRITE


class WebsocketProtocol(WebSocketsSansIOProtocol):
    """One websocket. `scope[WRITE]` is `write`.

    ASGI's `send` makes a frame and a system call for each message of each client. A notification has the same frame for
    all clients, and many that arrive together need one call.
    """

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # the handshake is not rejected
            self.scope[WRITE] = self.write  # type: ignore[literal-required]

    def write(self, frames: bytes) -> bool:
        """Write unmasked frames without extensions. False before the handshake, after a close, and to a slow client."""
        ready = self.writable.is_set() and self.handshake_complete and not self.close_sent and not self.disconnected
        if not ready or self.conn.state is not State.OPEN or self.transport.is_closing():
            return False
        self.transport.write(frames)
        return True
