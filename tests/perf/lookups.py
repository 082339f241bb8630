"""Authenticated look-ups of one web process at 16 clients, beside `/version`, which queries no database."""

import asyncio
import base64
import os
import time
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.faces.services import face_create, list_create
from apps.faces.types import FaceDraft
from tests.perf.events import PASSWORD, serve
from tests.perf.report import Row, percentile

CLIENTS = 16
SLICES, SLICE_S = 12, 0.5


def bench() -> list[Row]:
    """Requests per second, p99 over p50, and CPU per request of the web process, which other load affects least.

    Slices of the three alternate.
    """
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    face = face_create(account_id=account.account_id, draft=FaceDraft(user_data="bench"))
    for _ in range(12):
        list_create(account_id=account.account_id, user_data="bench")
    credentials = base64.b64encode(f"{account.login}:{PASSWORD}".encode()).decode()
    paths = {"/version": "/version", "/6/faces/{id}": f"/6/faces/{face.face_id}", "/6/lists": "/6/lists?page_size=10"}
    process, origin = serve()
    try:
        for path in paths.values():
            asyncio.run(_measured(origin, path, credentials, 1.0))  # warms up
        times_s: dict[str, list[float]] = {name: [] for name in paths}
        cpu_s = dict.fromkeys(paths, 0.0)
        for _ in range(SLICES):
            for name, path in paths.items():
                before_s = _cpu_s(process.pid)
                times_s[name] += asyncio.run(_measured(origin, path, credentials, SLICE_S))
                cpu_s[name] += _cpu_s(process.pid) - before_s
    finally:
        process.terminate()
        process.wait(30)
        account_delete(account=account)
        connections.close_all()
    rates = {name: len(each) / (SLICES * SLICE_S) for name, each in times_s.items()}
    rows = []
    for name, each in times_s.items():
        if name == "/version":
            continue
        rate, alone = rates[name], rates["/version"]
        rows.append(
            Row(f"GET {name}, {CLIENTS} clients", rate, "1/s", alone, rate / alone, ">= 900/s on two quiet cores")
        )
        p50, p99 = percentile(each, 50), percentile(each, 99)
        rows.append(Row("… p99", p99 * 1e3, "ms", p50 * 1e3, p99 / p50, "<= 4 times p50"))
        cpu, cpu_alone = (cpu_s[each] / len(times_s[each]) * 1e3 for each in (name, "/version"))
        rows.append(Row("… CPU of the web process per request", cpu, "ms", cpu_alone, cpu / cpu_alone))
    return rows


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process: user and system, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measured(origin: str, path: str, credentials: str, seconds: float) -> list[float]:
    """Seconds of each request that `CLIENTS` kept connections make."""
    place = urlsplit(origin)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n\r\n".encode()
    times_s: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while (started := time.perf_counter()) < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head[9:12] == b"200", head
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            times_s.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return times_s
