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
    finally:
        process.terminate()
        process.wait(10)
        account_delete(account=account)
        connections.close_all()
    goal = "p95 <= 50 ms"
    return [
        Row("websocket delay, commit to arrival, p50", percentile(delays_ms, 50), "ms"),
        Row("websocket delay, commit to arrival, p95", percentile(delays_ms, 95), "ms", goal=goal),
    ]


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
