"""Matching over HTTP while the list changes and its builder is killed: run by name; `LUNA_BENCH_S` (60) seconds.

Sixteen clients match in a list of 10,000 faces, first alone for a quarter of the time, then while 20 faces a second are
linked or unlinked in fours, or get another descriptor. The builder is a process of its own, killed with
SIGKILL and started again every fifth of the time. Every answer must be that of an oracle at some moment between the
request and the response; answers that are right only within the interval of the cache before it are counted.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

import numpy as np
import orjson
from django.db import connections
from numpy.typing import NDArray

from apps.accounts.services import account_create, account_delete
from apps.common.config import config
from apps.common.descriptors import Descriptor, DescriptorVersion, base64_encode, versions
from apps.faces.models import Face
from apps.faces.services import face_attribute_set, list_attach_faces, list_detach_faces
from apps.faces.types import AttributeData
from apps.matching.config import DescriptorsCache
from apps.matching.segments.builder import Builder
from apps.matching.segments.codes import Floats
from apps.matching.segments.files import segments_root
from tests.perf.events import PASSWORD, ROOT, serve
from tests.perf.filling import faces_fill, list_fill
from tests.perf.matcher import LIMIT, Filled
from tests.perf.people import population
from tests.perf.report import Row, percentile
from tests.perf.web import Client

SECONDS = float(os.environ.get("LUNA_BENCH_S", "60"))
CLIENTS = 16
LISTED, SPARE = 10_000, 500
CHANGES_PER_S = 20  # faces
GROUP = 4  # faces that are linked or unlinked with one call
KILLS = 4
TOLERANCE = 1e-5  # of similarities: the oracle adds in another order
BUSY = 503  # no thread within two seconds: on machines with other load
GOAL = 2.0
BUILDER = """
import django, threading
django.setup()
from apps.matching.segments import builder, running
builder.TAIL_ROWS = 1  # it writes at every step, so that it is killed while it writes
running.running()
print("builds", flush=True)
threading.Event().wait()
"""


@dataclass(frozen=True, eq=False)
class Change:
    """One change of the list: the faces at `places` are in it afterwards or not, with these descriptors."""

    began: float
    ended: float
    places: NDArray[np.int64]
    listed: NDArray[np.bool_]
    vectors: Floats


@dataclass(frozen=True, eq=False)
class Answer:
    """Places of the found faces with their similarities, best first, and the times of the request."""

    began: float
    ended: float
    probe: int
    found: Sequence[tuple[int, float]]

    @property
    def ms(self) -> float:
        return (self.ended - self.began) * 1e3


@dataclass(eq=False)
class World:
    """A list, its faces, and the changes so far."""

    account_id: UUID
    version: DescriptorVersion
    filled: Filled
    face_ids: Sequence[UUID]
    vectors: Floats
    listed: NDArray[np.bool_]
    changes: list[Change] = field(default_factory=list)

    def change(self, random: np.random.Generator, listed: NDArray[np.bool_], vectors: Floats) -> None:
        """Link, unlink or replace `GROUP` faces; `listed` and `vectors` are the writer's own state."""
        places = random.choice(len(self.face_ids), GROUP, replace=False)
        if random.integers(3) == 2:
            vectors[places] = population(self.version.dimension).people(random, GROUP)
            for place in places:
                data = AttributeData((Descriptor(self.version.version, vectors[place].copy()),))
                do = partial(face_attribute_set, face_id=self.face_ids[place], attribute=data)
                self._do(partial(do, account_id=self.account_id), places[places == place], listed, vectors)
            return
        inside, links = (True, list_detach_faces) if random.integers(2) else (False, list_attach_faces)
        places = random.choice(np.flatnonzero(listed == inside), GROUP, replace=False)
        listed[places] = not inside
        face_ids = [self.face_ids[place] for place in places]
        change = partial(links, account_id=self.account_id, list_id=self.filled.list_id, face_ids=face_ids)
        self._do(change, places, listed, vectors)

    def _do(
        self, change: Callable[[], object], places: NDArray[np.int64], listed: NDArray[np.bool_], vectors: Floats
    ) -> None:
        began = time.monotonic()
        change()
        self.changes.append(Change(began, time.monotonic(), places, listed[places], vectors[places]))


def bench() -> list[Row]:
    version = versions.default("face")
    account = account_create(login=f"{uuid4().hex}@luna.test", password=PASSWORD)
    try:
        world = _world(account.account_id, version)
        Builder(segments_root()).step()
        headers = {"Authorization": f"Basic {base64_encode(f'{account.login}:{PASSWORD}'.encode())}"}
        process, origin = serve()
        try:
            quiet, _ = _clients(world, origin, headers, SECONDS / 4, lambda: None)
            busy, kills = _clients(world, origin, headers, SECONDS, lambda: _write(world))
        finally:
            process.terminate()
            process.wait(30)
    finally:
        account_delete(account=account)
        Builder(segments_root()).step()
        connections.close_all()
    late, wrong = _checked(world, busy)
    if wrong:
        raise AssertionError(f"{wrong} of {len(busy)} answers are those of no moment")
    p95, quiet_p95 = (percentile([each.ms for each in answers], 95) for answers in (busy, quiet))
    changed = sum(len(each.places) for each in world.changes)
    title = f"{CLIENTS} clients, list of {LISTED:,}"
    return [
        Row(f"{title}, while it changes: p95", p95, "ms", quiet_p95, p95 / quiet_p95, f"<= {GOAL}"),
        Row("… answers per second", len(busy) / SECONDS, "1/s", len(quiet) * 4 / SECONDS),
        Row("… faces changed per second", changed / SECONDS, "1/s", goal=f"{CHANGES_PER_S}"),
        Row("… builders killed", kills, ""),
        Row("… answers compared with the oracle", len(busy), ""),
        Row("… answers of a moment before the request", late, "", goal="0"),
    ]


def _world(account_id: UUID, version: DescriptorVersion) -> World:
    people, random = population(version.dimension), np.random.default_rng(2026)
    vectors = people.people(random, LISTED + SPARE)
    keys = faces_fill(account_id, version.version, vectors)
    row = list_fill(account_id, keys[:LISTED])
    face_ids = list(Face.objects.for_account(account_id).order_by("pk").values_list("face_id", flat=True))
    probes = people.again(random, vectors[random.integers(0, LISTED, 500)])
    listed = np.arange(len(keys)) < LISTED
    return World(account_id, version, Filled(row.list_id, LISTED, probes), face_ids, vectors, listed)


def _write(world: World) -> None:
    """Change the list at the given rate until the time is over."""
    random, ends = np.random.default_rng(7), time.monotonic() + SECONDS
    listed, vectors, next_s = world.listed.copy(), world.vectors.copy(), time.monotonic()
    try:
        while time.monotonic() < ends:
            world.change(random, listed, vectors)
            next_s = max(next_s + GROUP / CHANGES_PER_S, time.monotonic() - 1)
            time.sleep(max(0.0, next_s - time.monotonic()))
    finally:
        connections.close_all()


def _clients(
    world: World, origin: str, headers: dict[str, str], seconds: float, beside: Callable[[], None]
) -> tuple[list[Answer], int]:
    """Match from all clients while `beside` runs; return the answers and how often the builder was killed."""
    place_of = {str(face_id): place for place, face_id in enumerate(world.face_ids)}
    bodies = world.filled.bodies(world.version)
    answers: list[Answer] = []
    errors: list[BaseException] = []
    ends = time.monotonic() + seconds

    def work(number: int) -> None:
        client, probe = Client(origin, headers), number
        while time.monotonic() < ends:
            began = time.monotonic()
            status, data = client.answer("POST", "/6/matcher/faces", bodies[probe % len(bodies)])
            ended = time.monotonic()
            if status == BUSY:
                continue
            assert status == 200, data
            result = orjson.loads(data)[0]["matches"][0]["result"]
            found = [(place_of[each["face"]["face_id"]], each["similarity"]) for each in result]
            answers.append(Answer(began, ended, probe % len(bodies), found))
            probe += CLIENTS

    def guarded(call: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                call()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    threads = [guarded(beside), *(guarded(partial(work, number)) for number in range(CLIENTS))]
    kills = 0
    while time.monotonic() < ends:
        with _builder() as builder:
            time.sleep(max(0.0, min(SECONDS / (KILLS + 1), ends - time.monotonic())))
            builder.send_signal(signal.SIGKILL)
            kills += 1
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answers, kills


@contextmanager
def _builder() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", BUILDER], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait(30)


def _checked(world: World, answers: Sequence[Answer]) -> tuple[int, int]:
    """Replay all changes; return the number of answers that are right only before their request, and of wrong ones."""
    interval_s = config(DescriptorsCache).updating_cache_interval
    began = np.array([-np.inf, *(each.began for each in world.changes)])
    until = np.array([*(each.ended for each in world.changes), np.inf])  # state i ends when change i + 1 has ended
    last = np.searchsorted(began, [each.ended for each in answers], side="right") - 1
    first = np.searchsorted(until, [each.began for each in answers])
    early = np.searchsorted(until, [each.began - interval_s for each in answers])
    exact, late = np.zeros(len(answers), bool), np.zeros(len(answers), bool)
    listed, vectors = world.listed.copy(), world.vectors.copy()
    for state in range(len(began)):
        if state:
            change = world.changes[state - 1]
            listed[change.places], vectors[change.places] = change.listed, change.vectors
        for number in np.flatnonzero((early <= state) & (state <= last) & ~exact).tolist():
            if agrees(world, answers[number], listed, vectors):
                (exact if state >= first[number] else late)[number] = True
    return int((late & ~exact).sum()), int((~late & ~exact).sum())


def agrees(world: World, answer: Answer, listed: NDArray[np.bool_], vectors: Floats) -> bool:
    """Return whether an answer has the nearest faces of a state, in their order."""
    similarity = world.version.calibration.similarity
    cosines = np.where(listed, vectors @ world.filled.probes[answer.probe], -np.inf)
    best = np.sort(np.partition(cosines, -LIMIT)[-LIMIT:])[::-1]
    return len(answer.found) == LIMIT and all(
        abs(given - similarity(float(cosines[place]))) < TOLERANCE
        and abs(given - similarity(float(wanted))) < TOLERANCE
        for (place, given), wanted in zip(answer.found, best, strict=True)
    )
