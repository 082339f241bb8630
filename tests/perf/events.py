"""How much an event costs beside its networks: POST …/events over HTTP, one face, 640 px, one request at a time.

The client is Python's own: httpx takes 2 ms a request for itself, which are not the platform's.
"""

import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
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


def serve(
    environment: Mapping[str, str] = MappingProxyType({}), before: str = ""
) -> tuple[subprocess.Popen[bytes], str]:
    """The platform's web process, ready.

    `environment`: variables beside those of this process. `before`: a statement that it executes first.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\nfrom luna.web import serve\nserve([{listener.fileno()}])"],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            env=os.environ | {"LUNA_LOG_LEVEL": "WARNING"} | dict(environment),
        )
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
        connection = HTTPConnection(origin.removeprefix("http://"), timeout=60)
        credentials = b64encode(f"{account.login}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "image/jpeg"}
        measured = [_measure(connection, f"{handler}/events", headers) for _ in range(WARM_UP_REQUESTS + REQUESTS)]
    finally:
        process.terminate()
        process.wait(30)
        account_delete(account=account)
        connections.close_all()
    measured = measured[WARM_UP_REQUESTS:]
    wall, network, more = (
        median(measured, part) for part in (_wall, _networks, lambda request: _wall(request) - _networks(request))
    )
    slow = percentile([_wall(request) - _networks(request) for request in measured], 95)
    return [
        Row("POST …/events, one face, 640 px, p50", wall, "ms", network, wall / network),
        Row("… over the sum of its networks, p50", more, "ms", goal="<= 15 ms"),
        Row("… over the sum of its networks, p95", slow, "ms"),
        Row("  of that: recognition beside networks", median(measured, _recognition), "ms"),
        Row("  of that: matching", median(measured, lambda request: request["match"]), "ms"),
        Row("  of that: storing", median(measured, lambda request: request["store"]), "ms"),
    ]


Request = Mapping[str, float]
"""Milliseconds by stage, as the answer says them; `wall` as the client saw it."""


def _wall(request: Request) -> float:
    return request["wall"]


def _networks(request: Request) -> float:
    return request["image.networks"]


def _recognition(request: Request) -> float:
    return request["recognise"] - request["image.networks"]


def median(requests: Sequence[Request], part: Callable[[Request], float]) -> float:
    return percentile([part(request) for request in requests], 50)


def _measure(connection: HTTPConnection, path: str, headers: Mapping[str, str]) -> Request:
    started = time.perf_counter()
    connection.request("POST", path, PICTURE, dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    wall_ms = (time.perf_counter() - started) * 1e3
    assert len(json.loads(body)["events"]) == 1, body
    stages = re.findall(r"([\w.]+);dur=([0-9.]+)", answer.headers["Server-Timing"])
    return {name: float(ms) for name, ms in stages} | {"wall": wall_ms}


PICTURE = photograph()
