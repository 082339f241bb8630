"""How much an event costs beside its networks: POST …/events over HTTP, one face, 640 px, one request at a time."""

import io
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import httpx
from django.db import connections
from PIL import Image
from skimage import data as photographs

from apps.accounts.services import account_create, account_delete
from tests.perf.report import Row, percentile

REQUESTS = 100
WARM_UP_REQUESTS = 10
SIDE_PX = 640
START_TIMEOUT_S = 120
PASSWORD = "benchmark password"
ROOT = Path(__file__).parent.parent.parent


def photograph() -> bytes:
    """One face, 640×640, JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(photographs.astronaut()).resize((SIDE_PX, SIDE_PX)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def serve() -> tuple[subprocess.Popen[bytes], str]:
    """The platform in a process of its own, ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "luna.asgi:application", "--log-level=warning", f"--port={port}"]
    process = subprocess.Popen(command, cwd=ROOT)
    origin = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{origin}/version", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return process, origin
    process.kill()
    raise RuntimeError("the server did not start")


def bench() -> list[Row]:
    """The default policies with a match: detect, extract, match, sample and event stored, websockets told."""
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    process, origin = serve()
    try:
        with httpx.Client(base_url=origin, auth=(account.login, PASSWORD), timeout=60) as client:
            policies = {"match_policy": [{"label": "all", "candidates": {"origin": "faces"}}]}
            handler = client.post("/6/handlers", json={"policies": policies}).raise_for_status().json()["url"]
            measured = [_measure(client, f"{handler}/events") for _ in range(WARM_UP_REQUESTS + REQUESTS)]
    finally:
        process.terminate()
        process.wait(30)
        account_delete(account=account)
        connections.close_all()
    walls, networks = zip(*measured[WARM_UP_REQUESTS:], strict=True)
    more = [wall - network for wall, network in measured[WARM_UP_REQUESTS:]]
    wall, network = percentile(walls, 50), percentile(networks, 50)
    return [
        Row("POST …/events, one face, 640 px, p50", wall, "ms", network, wall / network),
        Row("… over the sum of its networks, p50", percentile(more, 50), "ms", goal="<= 15 ms"),
        Row("… over the sum of its networks, p95", percentile(more, 95), "ms"),
    ]


def _measure(client: httpx.Client, path: str) -> tuple[float, float]:
    """Milliseconds of one request, and of its networks as the answer says them."""
    started = time.perf_counter()
    answer = client.post(path, content=PICTURE, headers={"Content-Type": "image/jpeg"})
    wall_ms = (time.perf_counter() - started) * 1e3
    assert len(answer.raise_for_status().json()["events"]) == 1
    found = re.search(r"image\.networks;dur=([0-9.]+)", answer.headers["Server-Timing"])
    assert found is not None
    return wall_ms, float(found[1])


PICTURE = photograph()
