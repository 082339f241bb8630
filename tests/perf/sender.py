"""How long an event takes from the commit to a websocket client: publisher, Redis, hub, uvicorn, client."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4

from django.db import connections, transaction
from websockets.sync.client import ClientConnection, connect

from apps.accounts.services import account_create, account_delete
from apps.sender.services import event_publish
from tests.perf.listeners import handshake
from tests.perf.report import Row, percentile

EVENTS = 500
INTERVAL_S = 0.01
CLIENTS, RATE, STEADY, BURST, SIZE = 1000, 5, 50, 200, 200
SILENT, LARGE = 100, 5000
QUEUE_BYTES = 256 * 1024  # a silent client is closed within the burst
PASSWORD = "benchmark password"
SERVER = """
import socket, sys
from luna.http.protocol import Server
from luna.web import configuration
Server(configuration()).run(sockets=[socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)])
"""
ROOT = Path(__file__).parent.parent.parent


def _serve() -> tuple[subprocess.Popen[bytes], int]:
    """The websocket side of the platform in a process of its own, as in production."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"LUNA_SENDER_QUEUE_BYTES": str(QUEUE_BYTES)}
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], cwd=ROOT, env=environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.1)
    process.kill()
    raise RuntimeError("the server did not start")


def bench() -> list[Row]:
    """An event of 3 KB every 10 ms to one client; time from the commit to the client's receive."""
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    process, port = _serve()
    try:
        credentials = base64.b64encode(f"{account.login}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        with connect(f"ws://127.0.0.1:{port}/6/ws", additional_headers=headers, proxy=None, open_timeout=30) as client:
            delays_ms = [_delay_ms(account.account_id, client) for _ in range(EVENTS)]
        steady, burst, mixed = _crowd(account.account_id, port, headers["Authorization"], process.pid)
    finally:
        process.terminate()
        process.wait(10)
        account_delete(account=account)
        connections.close_all()
    goal = "p95 <= 50 ms"
    return [
        Row("websocket delay, commit to arrival, p50", percentile(delays_ms, 50), "ms"),
        Row("websocket delay, commit to arrival, p95", percentile(delays_ms, 95), "ms", goal=goal),
        Row(f"the same to {CLIENTS} clients at {RATE} events/s, p50", steady[1], "ms"),
        Row(f"the same to {CLIENTS} clients at {RATE} events/s, p95", steady[2], "ms", goal="p95 <= 55 ms"),
        Row("  CPU of the server for a delivery", steady[3], "µs"),
        Row(f"deliveries to {CLIENTS} clients in a burst", CLIENTS * BURST / burst[0], "/s", goal=">= 60,000 /s"),
        Row("  CPU of the server for a delivery", burst[3], "µs"),
        Row(f"the same of {LARGE} bytes beside {SILENT} clients that never read", CLIENTS * BURST / mixed[0], "/s"),
        Row("  memory of the server (before: baseline)", mixed[4], "MB", burst[4], mixed[4] / burst[4]),
    ]


def _cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _silent(port: int, basic: str) -> socket.socket:
    """A client that never reads, with a small buffer in the kernel."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(handshake(port, basic))
    return client


def _crowd(account_id: UUID, port: int, basic: str, server: int) -> list[list[float]]:
    """Return figures of a steady rate and of two bursts, which arrive at all clients of a process.

    The second burst has large events, and clients beside the others that never read. Figures: seconds, p50 and p95 in
    ms, CPU of the server for a delivery in µs, its resident memory after it in MB.
    """
    command = [sys.executable, "-m", "tests.perf.listeners", str(port), basic, str(CLIENTS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    found = []
    with subprocess.Popen(command, cwd=ROOT, **pipes) as crowd:  # type: ignore[call-overload]
        assert crowd.stdout.readline() == "ready\n"
        for events, interval_s, size, silent in (
            (STEADY, 1 / RATE, SIZE, 0),
            (BURST, 0.0, SIZE, 0),
            (BURST, 0.0, LARGE, SILENT),
        ):
            kept = [_silent(port, basic) for _ in range(silent)]
            crowd.stdin.write(f"{events}\n")
            crowd.stdin.flush()
            began = _cpu_s(server)
            for _ in range(events):
                event = {"event_id": str(uuid4()), "user_data": f"{time.time()} {'x' * size}"}
                event_publish(account_id=account_id, facts={}, message={"event": event})
                time.sleep(interval_s)
            figures = [float(each) for each in crowd.stdout.readline().split()]
            found.append([*figures, (_cpu_s(server) - began) / CLIENTS / events * 1e6, _resident_mb(server)])
            for each in kept:
                each.close()
        crowd.stdin.close()
    return found


def _delay_ms(account_id: UUID, client: ClientConnection) -> float:
    time.sleep(INTERVAL_S)
    event = {"event_id": str(uuid4()), "user_data": "x" * 3000}
    committed = 0.0

    def announce() -> None:
        nonlocal committed
        committed = time.perf_counter()
        event_publish(account_id=account_id, facts={}, message={"event": event})

    with transaction.atomic():
        transaction.on_commit(announce)
    assert json.loads(client.recv(timeout=10))["event"] == event
    return (time.perf_counter() - committed) * 1000
