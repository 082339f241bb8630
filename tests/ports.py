"""Ports of servers that tests start."""

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)  # outgoing connections take theirs from 32768 on


def free_port() -> int:
    """Return a port of loopback that nothing listens on and that no outgoing connection takes meanwhile."""
    while True:
        port = random.choice(BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
