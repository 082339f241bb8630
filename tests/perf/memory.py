"""Does the platform's process grow? 5,000 mixed requests over HTTP; LUNA_BENCH_REQUESTS says another number.

Runs by its name only. Resident memory is read after every request: the mean of the last quarter beside that of the
second, after which nothing should be new any more.
"""

import base64
import itertools
import os
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from uuid import uuid4

import httpx
import orjson
from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.common.config import Directories, config
from apps.common.descriptors import sdk_encode, versions
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.networks.samples import sample_photographs
from tests.factories import unit_vectors
from tests.perf.engine import portrait
from tests.perf.events import PASSWORD, serve
from tests.perf.report import Row
from tests.perf.sdk import everything

REQUESTS = int(os.environ.get("LUNA_BENCH_REQUESTS", "5000"))
CLIENTS = 4
GOAL = 1.03
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MB = 1e6
JPEG = {"Content-Type": "image/jpeg"}
Ask = Callable[[httpx.Client], httpx.Response]


def bench() -> list[Row]:
    """Mean resident memory by quarter."""
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    process, origin = serve()
    try:
        with httpx.Client(base_url=origin, auth=(account.login, PASSWORD), timeout=120) as client:
            resident = _run(client, kinds(), process.pid)
    finally:
        process.terminate()
        process.wait(30)
        account_delete(account=account)
        connections.close_all()
    quarter = len(resident) // 4
    first, second, third, last = (mean(resident[at * quarter : (at + 1) * quarter]) / MB for at in range(4))
    return [
        Row(f"resident memory, {len(resident):,} mixed requests, first quarter", first, "MB"),
        Row("… second quarter", second, "MB"),
        Row("… third quarter", third, "MB"),
        Row("… last quarter", last, "MB", second, last / second, f"ratio <= {GOAL}"),
    ]


def kinds() -> list[tuple[Ask, int]]:
    """Requests and the status that each must have."""
    engine = Engine(EngineConfig(config(Directories).networks))
    path, _ = everything(engine)
    engine.close()
    picture = portrait()
    photographs = [file.read_bytes() for file in sample_photographs(config(Directories).cache)]
    version = versions.default("face")
    descriptors = [
        {"id": "d", "type": "sdk_descriptor", "data": base64.b64encode(sdk_encode(vector, version)).decode()}
        for vector in unit_vectors(20, version.dimension)
    ]
    raw_match = orjson.dumps({"references": descriptors[:5], "candidates": descriptors})
    match = {"references": descriptors[:2], "candidates": [{"filters": {"origin": "faces"}}]}
    group = "/6/sdk?estimate_face_descriptor=1&estimate_emotions=1"
    two = [("image", ("a.jpg", picture, "image/jpeg")), ("image", ("b.jpg", photographs[2], "image/jpeg"))]
    as_json = {"Content-Type": "application/json"}
    return [
        (lambda client: client.post(path, content=picture, headers=JPEG), 200),
        (lambda client: client.post(group, content=random.choice(photographs), headers=JPEG), 200),
        (lambda client: client.post(group, files=two), 200),
        (lambda client: client.post("/6/detector", content=picture, headers=JPEG), 201),
        (lambda client: client.post("/6/iso?multiface_policy=2", content=picture, headers=JPEG), 200),
        (lambda client: client.post("/6/matcher/raw", content=raw_match, headers=as_json), 200),
        (lambda client: client.post("/6/matcher/faces", json=match), 200),
        (lambda client: client.post("/6/sdk", content=picture[: len(picture) // 2], headers=JPEG), 400),
        (lambda client: client.post("/6/sdk", content=os.urandom(300_000), headers=JPEG), 400),
        (lambda client: client.post("/6/faces", json={"user_data": "x"}), 201),
        (lambda client: client.get("/6/faces"), 200),
        (lambda client: client.post("/6/matcher/raw", content=b"{" * 1000, headers=as_json), 400),
    ]


def _run(client: httpx.Client, asks: Sequence[tuple[Ask, int]], pid: int) -> list[int]:
    """Every kind equally often, from `CLIENTS` threads; the bytes that are resident after each."""
    numbers = itertools.count()
    resident: list[int] = []
    failures: list[str] = []

    def work() -> None:
        while (number := next(numbers)) < REQUESTS and not failures:
            ask, status = asks[number % len(asks)]
            answer = ask(client)
            if answer.status_code != status:
                failures.append(f"{answer.request.url}: {answer.status_code} {answer.text[:300]}")
            resident.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES)

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return resident
