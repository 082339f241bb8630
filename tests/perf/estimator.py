"""Estimator over a directory of pictures, beside the bare engine: the same recognition, without files and database.

`LUNA_BENCH_PICTURES` (300) portraits of 640 px with the default policies, in turns. The machine of tasks executes the
type in this process. CPU times are of all threads of the process; PostgreSQL's are apart. The memory is compared with
that of the first 100 pictures.
"""

import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.common.config import override_config
from apps.events.models import Event
from apps.handlers.pipeline.generate import events_recognise
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import policies_parse
from apps.recognition.inputs.types import Inputs, Picture
from apps.recognition.types import ImageInput, ImageType
from apps.tasks.choices import TaskStatus
from apps.tasks.config import Sources
from apps.tasks.models import Task
from apps.tasks.types.estimator import BATCH_PICTURES, BATCHES_AT_ONCE, TYPE
from tests.factories import principal_of_account
from tests.perf.engine import portrait
from tests.perf.events import PASSWORD
from tests.perf.report import Row
from tests.tasks import make_task, run_all

PICTURES = int(os.environ.get("LUNA_BENCH_PICTURES", "300"))
TURNS = 3
WARM_UP_PREFIX = "0000"  # of the first 100 files


@dataclass(frozen=True)
class Taken:
    """Wall-clock seconds, and CPU seconds of this process."""

    wall_s: float
    cpu_s: float


def bench() -> list[Row]:
    account = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    data = portrait()
    template = Run(principal=principal_of_account(account), policies=policies_parse({}))
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(PICTURES):
            (folder / f"{number:06}.jpg").write_bytes(data)
        try:
            with override_config(Sources, disk_directories=(name,)):
                _estimate(account.account_id, folder, WARM_UP_PREFIX)
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                turns = [
                    (
                        _taken(lambda: _recognise(template, data)),
                        _taken(lambda: _estimate(account.account_id, folder, "")),
                    )
                    for _ in range(TURNS)
                ]
            grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        finally:
            account_delete(account=account)
            connections.close_all()
    bare, own = (
        Taken(sum(each.wall_s for each in side), sum(each.cpu_s for each in side)) for side in zip(*turns, strict=True)
    )
    count = PICTURES * TURNS
    name = f"estimator, {PICTURES} portraits of 640 px"
    return [
        Row(name, count / own.wall_s, "images/s", count / bare.wall_s, bare.wall_s / own.wall_s, "ratio ≥ .85"),
        Row(f"{name}, CPU time", own.cpu_s / count * 1e3, "ms/image", bare.cpu_s / count * 1e3, own.cpu_s / bare.cpu_s),
        Row(f"{name}, memory over that of 100 pictures", grown_kib / 1024, "MiB"),
    ]


def _taken(call: Callable[[], None]) -> Taken:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Taken(time.perf_counter() - wall, time.process_time() - cpu)


def _recognise(template: Run, data: bytes) -> None:
    """Recognise all pictures from memory, in the batches of the estimator."""
    pictures = tuple(Picture(image=ImageInput(data, "a.jpg", ImageType.RAW)) for _ in range(BATCH_PICTURES))
    batches = [pictures] * (PICTURES // BATCH_PICTURES) + [pictures[: PICTURES % BATCH_PICTURES]]
    with ThreadPoolExecutor(BATCHES_AT_ONCE) as pool:
        for _ in pool.map(lambda batch: events_recognise(replace(template, inputs=Inputs(pictures=batch))), batches):
            pass


def _estimate(account_id: UUID, folder: Path, prefix: str) -> None:
    """Execute a task of the files with this prefix, which leaves an event of each."""
    source = {"source_type": "network_disk", "path": str(folder), "prefix": prefix}
    events = Event.objects.for_account(account_id)
    before, files = events.count(), len([*folder.glob(f"{prefix}*")])
    task = make_task(TYPE, {"source": source, "handler": {"policies": {}}}, account_id=account_id)
    run_all()
    assert Task.objects.unscoped().get(task_id=task.task_id).task_status == TaskStatus.DONE
    assert events.count() == before + files
