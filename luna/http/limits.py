"""What clients may ask of HTTP: numbers only, with the defaults of the platform."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`threads` requests run at a time, and beside them `recognition_threads` that work on pictures (0: these have no
    threads of their own); `reserved_threads` more serve health and version alone.

    `queue_length` requests wait for a thread, at most `queue_s`. A body has `body_s` in all, and after
    `body_grace_s` at least `body_bytes_s` on average; larger ones than `checked_from_bytes` are received only once
    method and credentials are known to be right.
    """

    threads: int
    max_body_bytes: int
    recognition_threads: int = 0
    reserved_threads: int = 2
    queue_length: int = 512
    queue_s: float = 2.0
    body_s: float = 600.0
    body_silence_s: float = 30.0
    body_grace_s: float = 30.0
    body_bytes_s: int = 8 * 1024
    checked_from_bytes: int = 1024 * 1024


# Of the connections themselves (luna.http.protocol).
HEAD_S = 15.0  # from the first byte of a request, or the connection, to the end of the headers
UNREAD_S = 20.0  # an answer of which the client takes less than 128 KiB in this time ends the connection
LINGER_S = 5.0  # a connection that is closed has so long to take the rest of its answer
KEEP_ALIVE_S = 65
# What has come when the headers are complete may be a part of the body already: one read of the socket, 256 KiB.
HEAD_LIMIT_BYTES = 320 * 1024
