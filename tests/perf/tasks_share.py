"""POST …/events over HTTP while a worker executes estimator tasks, against a quiet platform.

One client, one request at a time, in turns: quiet, busy, quiet, busy. Web process and worker share a session, as under
the supervisor. `LUNA_TASKS_NICENESS=0` shows what priorities change.
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

import orjson
from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.common.config import override_config
from apps.common.scope import Scope
from apps.tasks.choices import TaskStatus
from apps.tasks.config import Sources
from apps.tasks.models import Subtask, Task
from apps.tasks.services import task_cancel
from apps.tasks.types.estimator import TYPE
from tests.perf.events import PASSWORD, PICTURE, ROOT, serve
from tests.perf.report import Row, percentile
from tests.tasks import make_task

REQUESTS = int(os.environ.get("LUNA_BENCH_REQUESTS", "60"))  # of a turn
TURNS = 2
WARM_UP_REQUESTS = 10
FILES = 20_000
START_S, POLL_S = 120.0, 0.1
STARTED_PARTS = 32  # of a task whose engine is warm


def bench() -> list[Row]:
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    with TemporaryDirectory() as name:
        for number in range(FILES):  # one file with many names: reading costs as much, the disk does not fill
            link = Path(name, f"{number:06}.jpg")
            if number:
                os.link(Path(name, "000000.jpg"), link)
            else:
                link.write_bytes(PICTURE)
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
            quiet, busy, done = [], [], 0.0
            with override_config(Sources, disk_directories=(name,)):
                for _ in range(TURNS):
                    quiet += client.measure(REQUESTS)
                    task_id = _started(account.account_id, name)
                    before, since = _parts(task_id), time.monotonic()
                    busy += client.measure(REQUESTS)
                    done += (_parts(task_id) - before) / (time.monotonic() - since)
                    assert _status(task_id) == TaskStatus.IN_PROGRESS
                    task_cancel(scope=Scope(account.account_id), task_id=task_id)
                    time.sleep(3)  # batches of the engine end
        finally:
            for process in (worker, web):
                process.terminate()
                process.wait(60)
            account_delete(account=account)
            connections.close_all()
    rows = []
    for percent in (50, 95):
        alone, together = percentile(quiet, percent), percentile(busy, percent)
        goal = "ratio <= 2" if percent == 95 else ""
        rows.append(
            Row(f"POST …/events while an estimator runs, p{percent}", together, "ms", alone, together / alone, goal)
        )
    return [*rows, Row("pictures of the estimator meanwhile", done / TURNS, "images/s")]


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


def _started(account_id: UUID, folder: str) -> int:
    """Create a task and wait until a worker has estimated its first files."""
    source = {"source_type": "network_disk", "path": folder}
    task = make_task(TYPE, {"source": source, "handler": {"policies": {}}}, account_id=account_id)
    deadline = time.monotonic() + START_S
    while _parts(task.task_id) < STARTED_PARTS:
        if time.monotonic() > deadline or _status(task.task_id) not in (TaskStatus.PENDING, TaskStatus.IN_PROGRESS):
            raise RuntimeError(f"the task has the status {_status(task.task_id)}")
        time.sleep(POLL_S)
    return int(task.task_id)


def _status(task_id: int) -> int:
    return int(Task.objects.unscoped().get(task_id=task_id).task_status)


def _parts(task_id: int) -> int:
    return sum(Subtask.objects.filter(task_id=task_id).values_list("parts_done", flat=True))
