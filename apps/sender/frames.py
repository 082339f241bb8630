"""Notifications as websocket frames, made once for all their receivers."""

from collections.abc import Callable
from functools import cached_property

from websockets.frames import Frame, Opcode

WRITE = "luna.write"
"""The key in the scope of a websocket whose server accepts frames: a `Write`."""
Write = Callable[[bytes], bool]
"""Writes whole frames to the client at once; False, without writing, while the client does not read."""


class Message:
    """A notification for several websockets. `text`: JSON."""

    def __init__(self, text: str, event_id: object = None) -> None:
        self.text = text
        self.event_id = event_id

    @cached_property
    def frame(self) -> bytes:
        return Frame(Opcode.TEXT, self.text.encode()).serialize(mask=False)
