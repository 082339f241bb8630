"""`POST /6/matcher/faces` in lists of faces over HTTP, in memory and in the database: run by name.

`LUNA_BENCH_FACES=10000,100000,1000000` chooses the sizes (default: the first two), `LUNA_BENCH_DIMENSION` 128 or 512.
One client asks each of two servers, then eight clients ask each of them for `LUNA_BENCH_S` (5) seconds. Top 5 with all
targets; descriptors from `tests/perf/people.py`. The scan is that of the codes alone.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import orjson
from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.common.descriptors import DescriptorVersion, base64_encode, sdk_encode
from apps.matching.engine.cached import service
from apps.matching.segments.builder import Builder
from apps.matching.segments.codes import Floats
from apps.matching.segments.files import segments_root
from tests.perf.events import PASSWORD, serve
from tests.perf.filling import REGISTER, faces_fill, list_fill, version_register
from tests.perf.people import population
from tests.perf.report import Row, percentile
from tests.perf.scans import ANY, proposed
from tests.perf.web import Client

SIZES = [int(text) for text in os.environ.get("LUNA_BENCH_FACES", "10000,100000").split(",")]
DIMENSION = int(os.environ.get("LUNA_BENCH_DIMENSION", "128"))
SECONDS = float(os.environ.get("LUNA_BENCH_S", "5"))
PROBES = 200
SLICE, WARM_UP = 20, 5
CLIENTS = 8
LIMIT = 5
GOAL_MS = 4
MEMORY, DATABASE = "in memory", "in the database"
ENVIRONMENTS = {MEMORY: {}, DATABASE: {"LUNA_DESCRIPTORS_CACHE_CACHE_ENABLED": "0"}}


@dataclass(frozen=True, eq=False)
class Filled:
    """A list of faces and the descriptors to search in it, float32 [n, d]."""

    list_id: UUID
    faces: int
    probes: Floats

    def bodies(self, version: DescriptorVersion) -> list[bytes]:
        """Return a request for each descriptor."""
        return [
            orjson.dumps(
                {
                    "references": [
                        {"id": "probe", "type": "sdk_descriptor", "data": base64_encode(sdk_encode(vector, version))}
                    ],
                    "candidates": [{"filters": {"origin": "faces", "list_id": str(self.list_id)}, "limit": LIMIT}],
                }
            )
            for vector in self.probes
        ]


@dataclass(frozen=True)
class Server:
    """A web process."""

    pid: int
    origin: str

    def cpu_ms(self) -> float:
        """Return the CPU time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")  # utime and stime


def bench() -> list[Row]:
    version = version_register(DIMENSION)
    account = account_create(login=f"{uuid4().hex}@luna.test", password=PASSWORD)
    rows: list[Row] = []
    try:
        lists = [filled(account.account_id, version, size) for size in SIZES]
        Builder(segments_root()).step()
        service().copies.refresh()
        headers = {"Authorization": f"Basic {base64_encode(f'{account.login}:{PASSWORD}'.encode())}"}
        with servers() as started:
            clients = {name: partial(Client, server.origin, headers) for name, server in started.items()}
            for each in lists:
                rows += alone(each, version, clients)
                rows += together(each, version, clients, started[MEMORY])
    finally:
        account_delete(account=account)
        Builder(segments_root()).step()
        service().copies.refresh()
        connections.close_all()
    return rows


def filled(account_id: UUID, version: DescriptorVersion, faces: int) -> Filled:
    people, random = population(version.dimension), np.random.default_rng(faces)
    stored = people.people(random, faces)
    row = list_fill(account_id, faces_fill(account_id, version.version, stored))
    return Filled(row.list_id, faces, people.again(random, stored[random.integers(0, faces, PROBES)]))


@contextmanager
def servers() -> Iterator[dict[str, Server]]:
    """Start a web process with lists in memory and one without."""
    with ExitStack() as stack:
        started = {}
        for name, environment in ENVIRONMENTS.items():
            process, origin = serve(environment, REGISTER.format(DIMENSION))
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            started[name] = Server(process.pid, origin)
        yield started


Clients = Mapping[str, Callable[[], Client]]


def alone(each: Filled, version: DescriptorVersion, clients: Clients) -> Iterator[Row]:
    """One client: the server with lists in memory and the scan of the codes in turns, then the other server.

    The servers do not take turns: a search in the database takes the caches of the processor and of PostgreSQL, for
    which the next search in memory would pay. For the same reason, the first searches of a turn do not count.
    """
    copy = service().copies.get(each.list_id, version.version)
    if copy is None:
        raise RuntimeError("the list is not in memory")
    opened = {name: client() for name, client in clients.items()}
    bodies = each.bodies(version)
    scan_ms: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in clients}
    answers: dict[str, list[bytes]] = {name: [] for name in clients}

    def ask(name: str, some: Sequence[bytes]) -> None:
        for place, body in enumerate(some):
            started = time.perf_counter()
            answers[name].append(opened[name].ask("POST", "/6/matcher/faces", body))
            if place >= WARM_UP:
                times[name].append((time.perf_counter() - started) * 1e3)

    for start in range(0, PROBES, SLICE):
        ask(MEMORY, bodies[start : start + SLICE])
        for place, vector in enumerate(each.probes[start : start + SLICE]):
            started = time.perf_counter()
            proposed(copy, vector[None], LIMIT, ANY)
            if place >= WARM_UP:
                scan_ms.append((time.perf_counter() - started) * 1e3)
    ends = time.monotonic() + SECONDS
    for start in range(0, PROBES, SLICE):
        if start and time.monotonic() > ends:
            break
        ask(DATABASE, bodies[start : start + SLICE])
    if any(mine != other for mine, other in zip(answers[MEMORY], answers[DATABASE], strict=False)):
        raise AssertionError("memory and database disagree")
    if any(len(orjson.loads(answer)[0]["matches"][0]["result"]) != LIMIT for answer in answers[MEMORY]):
        raise AssertionError("a search has found too few faces")
    memory, database = times[MEMORY], times[DATABASE]
    scan, title = percentile(scan_ms, 50), f"matcher/faces, list of {each.faces:,} × {version.dimension}"
    for percent in (50, 95):
        value, baseline = percentile(memory, percent), percentile(database, percent)
        yield Row(f"{title}, p{percent}, beside the database", value, "ms", baseline, value / baseline)
    yield Row(f"{title}: scan of the codes, p50", scan, "ms")
    yield Row(f"{title}: HTTP over the scan, p50", percentile(memory, 50) - scan, "ms", goal=f"<= {GOAL_MS}")


def together(each: Filled, version: DescriptorVersion, clients: Clients, memory: Server) -> Iterator[Row]:
    """Eight clients at once, one server after the other."""
    bodies = each.bodies(version)
    rates, slow = {}, {}
    before_ms = memory.cpu_ms()
    for name, client in clients.items():
        times, elapsed_s = crowd(client, bodies)
        rates[name], slow[name] = len(times) / elapsed_s, times
    cpu_ms = (memory.cpu_ms() - before_ms) / len(slow[MEMORY])
    title = f"matcher/faces, list of {each.faces:,} × {version.dimension}, {CLIENTS} clients"
    yield Row(title, rates[MEMORY], "requests/s", rates[DATABASE], rates[MEMORY] / rates[DATABASE])
    yield Row(f"{title}: CPU time of the web process", cpu_ms, "ms/request")
    for percent in (50, 95):
        value, baseline = (percentile(slow[name], percent) for name in (MEMORY, DATABASE))
        yield Row(f"{title}, p{percent}", value, "ms", baseline, value / baseline)


def crowd(client: Callable[[], Client], bodies: Sequence[bytes]) -> tuple[list[float], float]:
    """Return the milliseconds of all requests of the clients, and the seconds that they took together."""
    times: list[float] = []
    started = time.perf_counter()

    def work(number: int) -> None:
        own = client()
        place = number
        while time.perf_counter() < started + SECONDS:
            asked = time.perf_counter()
            own.ask("POST", "/6/matcher/faces", bodies[place % len(bodies)])
            times.append((time.perf_counter() - asked) * 1e3)
            place += CLIENTS

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, time.perf_counter() - started
