"""POST …/events over HTTP while a worker executes an estimator, a clustering, and both, against a quiet platform.

One client, one request at a time, in turns: quiet, busy, quiet, busy. Web process and worker share a session, as under
the supervisor. `LUNA_TASKS_NICENESS=0` shows what priorities change for the estimator. The clustering compares
`LUNA_BENCH_FACES` (300,000) faces of the default descriptor version; each task is cancelled at the end of its turn.
"""

import os
import subprocess
import sys
import time
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import orjson
from django.db import connections

from apps.accounts.models import Account
from apps.accounts.services import account_create, account_delete
from apps.common.config import override_config
from apps.common.descriptors import versions
from apps.common.scope import Scope
from apps.tasks.choices import TaskStatus
from apps.tasks.config import Sources
from apps.tasks.models import Subtask, Task
from apps.tasks.services import task_cancel
from apps.tasks.types import clustering, estimator
from apps.tasks.types.base import TaskType
from tests.perf.events import PASSWORD, PICTURE, ROOT, serve
from tests.perf.filling import analyze, faces_fill
from tests.perf.report import Row, percentile
from tests.tasks import make_task

REQUESTS = int(os.environ.get("LUNA_BENCH_REQUESTS", "60"))  # of a turn
TURNS = 2
WARM_UP_REQUESTS = 10
FILES = 20_000
FACES = int(os.environ.get("LUNA_BENCH_FACES", "300000"))
BATCH_FACES = 100_000
THRESHOLD = 0.999  # no pair: what is measured are the comparisons
START_S, POLL_S = 120.0, 0.1
STARTED_FILES = 32  # of an estimator whose engine is warm
ENDING_S = 3.0  # in which batches of the engine end after a cancellation

Work = tuple[TaskType, dict[str, Any], int]
"""A type, a content, and the parts after which the task is in its steady state."""


def bench() -> list[Row]:
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    _fill(account.account_id)
    with TemporaryDirectory() as name:
        for number in range(FILES):  # one file with many names: reading costs as much, the disk does not fill
            link = Path(name, f"{number:06}.jpg")
            if number:
                os.link(Path(name, "000000.jpg"), link)
            else:
                link.write_bytes(PICTURE)
        source = {"source_type": "network_disk", "path": name}
        estimating: Work = (estimator.TYPE, {"source": source, "handler": {"policies": {}}}, STARTED_FILES)
        comparing: Work = (clustering.TYPE, {"objects_type": "faces", "threshold": THRESHOLD}, 1)
        works = {
            "an estimator runs": [estimating],
            "a clustering runs": [comparing],
            "both run": [comparing, estimating],
        }
        environment = {"LUNA_TASKS_DISK_DIRECTORIES": orjson.dumps([name]).decode()}
        web, origin = serve(environment)
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "luna", "worker", "--pool", "threads", "--loglevel", "WARNING"],
            cwd=ROOT,
            env=os.environ | environment,
        )
        try:
            client = Client(origin, account.login)
            client.measure(WARM_UP_REQUESTS)
            with override_config(Sources, disk_directories=(name,)):
                rows = [row for title, work in works.items() for row in _measured(client, title, work, account)]
        finally:
            for process in (worker, web):
                process.terminate()
                process.wait(60)
            account_delete(account=account)
            connections.close_all()
    return rows


def _fill(account_id: UUID) -> None:
    """Store random faces of the default version."""
    version, random = versions.default("face"), np.random.default_rng(13)
    for start in range(0, FACES, BATCH_FACES):
        vectors = random.standard_normal((min(BATCH_FACES, FACES - start), version.dimension), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        faces_fill(account_id, version.version, vectors)
    analyze()


def _measured(client: "Client", title: str, works: list[Work], account: Account) -> list[Row]:
    """Measure requests in turns without tasks and with a task of each work."""
    quiet, busy, speeds = [], [], dict.fromkeys((each[0].name for each in works), 0.0)
    for _ in range(TURNS):
        quiet += client.measure(REQUESTS)
        tasks = {work[0].name: _started(account.account_id, *work) for work in works}
        before, since = {name: _parts(task_id) for name, task_id in tasks.items()}, time.monotonic()
        busy += client.measure(REQUESTS)
        for name, task_id in tasks.items():
            speeds[name] += (_parts(task_id) - before[name]) / (time.monotonic() - since) / TURNS
            if _status(task_id) != TaskStatus.IN_PROGRESS:
                raise RuntimeError(f"the {name} ended within the turn: use more faces")
        for task_id in tasks.values():
            task_cancel(scope=Scope(account.account_id), task_id=task_id)
        time.sleep(ENDING_S)
    rows = []
    for percent in (50, 95):
        alone, together = percentile(quiet, percent), percentile(busy, percent)
        goal = "ratio <= 2" if percent == 95 else ""
        rows.append(Row(f"POST …/events while {title}, p{percent}", together, "ms", alone, together / alone, goal))
    return [*rows, *(Row(f"… parts of the {name} meanwhile", speed, "/s") for name, speed in speeds.items())]


class Client:
    """One kept connection with a handler of default policies."""

    def __init__(self, origin: str, login: str) -> None:
        self._connection = HTTPConnection(origin.removeprefix("http://"), timeout=60)
        credentials = b64encode(f"{login}:{PASSWORD}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"}
        self._path = self._ask("/6/handlers", b'{"policies": {}}', "application/json")["url"]

    def measure(self, requests: int) -> list[float]:
        """Return the milliseconds of each request."""
        taken = []
        for _ in range(requests):
            started = time.perf_counter()
            answer = self._ask(f"{self._path}/events", PICTURE, "image/jpeg")
            taken.append((time.perf_counter() - started) * 1e3)
            assert len(answer["events"]) == 1
        return taken

    def _ask(self, path: str, body: bytes, content_type: str) -> dict[str, Any]:
        self._connection.request("POST", path, body, {**self._headers, "Content-Type": content_type})
        found: dict[str, Any] = orjson.loads(self._connection.getresponse().read())
        return found


def _started(account_id: UUID, task_type: TaskType, content: dict[str, Any], parts: int) -> int:
    """Create a task and wait until a worker has done its first parts."""
    task = make_task(task_type, content, account_id=account_id)
    deadline = time.monotonic() + START_S
    while _parts(task.task_id) < parts:
        if time.monotonic() > deadline or _status(task.task_id) not in (TaskStatus.PENDING, TaskStatus.IN_PROGRESS):
            raise RuntimeError(f"the task has the status {_status(task.task_id)}")
        time.sleep(POLL_S)
    return int(task.task_id)


def _status(task_id: int) -> int:
    return int(Task.objects.unscoped().get(task_id=task_id).task_status)


def _parts(task_id: int) -> int:
    return sum(Subtask.objects.filter(task_id=task_id).values_list("parts_done", flat=True))
