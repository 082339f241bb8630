"""How long an event takes from the commit to a websocket client: publisher, Redis, hub, uvicorn, client."""

import base64
import json
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
from tests.perf.report import Row, percentile

EVENTS = 500
INTERVAL_S = 0.01
CLIENTS, RATE, STEADY, BURST, SIZE = 1000, 5, 50, 200, 200
PASSWORD = "benchmark password"
ROOT = Path(__file__).parent.parent.parent


def _serve() -> tuple[subprocess.Popen[bytes], int]:
    """The websocket side of the platform in a process of its own, as in production."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "luna.asgi:application", "--lifespan=off", "--log-level=warning"]
    process = subprocess.Popen([*command, f"--port={port}"], cwd=ROOT)
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
        steady, burst = _crowd(account.account_id, port, headers["Authorization"])
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
        Row(f"deliveries to {CLIENTS} clients in a burst", CLIENTS * BURST / burst[0], "/s", goal=">= 60,000 /s"),
    ]


def _crowd(account_id: UUID, port: int, basic: str) -> list[list[float]]:
    """Return seconds, p50 and p95 in ms of a steady rate and of a burst, which arrive at all clients of a process."""
    command = [sys.executable, "-m", "tests.perf.listeners", str(port), basic, str(CLIENTS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    found = []
    with subprocess.Popen(command, cwd=ROOT, **pipes) as crowd:  # type: ignore[call-overload]
        assert crowd.stdout.readline() == "ready\n"
        for events, interval_s in ((STEADY, 1 / RATE), (BURST, 0.0)):
            crowd.stdin.write(f"{events}\n")
            crowd.stdin.flush()
            for _ in range(events):
                event = {"event_id": str(uuid4()), "user_data": f"{time.time()} {'x' * SIZE}"}
                event_publish(account_id=account_id, facts={}, message={"event": event})
                time.sleep(interval_s)
            found.append([float(each) for each in crowd.stdout.readline().split()])
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
