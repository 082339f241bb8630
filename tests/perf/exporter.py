"""An export of a million events with all columns of LUNA PLATFORM, beside a bare COPY of the same columns.

It takes minutes, so it runs by name only: `python -m tests.perf exporter`. `LUNA_BENCH_EXPORT_ROWS`: other numbers.
The export is a task: it includes the ZIP archive and its storage in the Image Store.
"""

import os
import re
import time
from pathlib import Path
from tempfile import TemporaryFile
from uuid import UUID

from django.db import connection

from apps.accounts.services import account_create
from apps.tasks.choices import TaskStatus
from apps.tasks.models import Task
from apps.tasks.types.exporter import TYPE
from tests.perf.report import Row
from tests.tasks import make_task, run_all

ROWS = int(os.environ.get("LUNA_BENCH_EXPORT_ROWS", "1000000"))
ROUNDS = 3
COLUMNS = (
    "create_time", "external_id", "handler_id", "source", "top_match", "match_result", "face_detections", "face_id",
    "attach_result", "gender", "age", "emotion", "ethnic_group", "tags", "user_data", "city", "area", "district",
    "street", "house_number", "latitude", "longitude", "mask", "track_id", "liveness",
)  # fmt: skip
# `top_match` consists of these columns.
TOP = "top_matching_candidates_label, top_similar_object_id, top_similar_object_type, top_similar_object_similarity"
FILL = """
INSERT INTO events_event (id, event_id, account_id, handler_id, create_time, end_time, insert_time, source, external_id,
    user_data, tags, attach_result, gender, age, emotion, city, longitude, latitude, match_result, face_detections,
    body_detections, top_matching_candidates_label, top_similar_object_id, top_similar_object_type,
    top_similar_object_similarity)
SELECT events_key(now()), gen_random_uuid(), %s, gen_random_uuid(), now(), now(), now(), 'camera ' || n %% 10,
    'external ' || n, 'user ' || n, '{vip,staff}', '{}', n %% 2, n %% 90, n %% 7 + 1, 'Paris', 2.35, 48.85, '[]',
    '[{"sample_id": "11111111-1111-4111-8111-111111111111", "detect_time": "2026-11-20T12:00:00.000000Z", "detection":
       {"rect": {"x": 1, "y": 2, "width": 3, "height": 4}}, "image_origin": null}]',
    '[]', 'vip', gen_random_uuid(), 0, .875
FROM generate_series(1, %s) n
"""


def bench() -> list[Row]:
    account = account_create(login="exporter@luna.test", password="correct horse battery")
    try:
        with connection.cursor() as cursor:
            cursor.execute(FILL, [account.account_id, ROWS])
            cursor.execute("VACUUM ANALYZE events_event")
        bare, exported = [], []
        for _ in range(ROUNDS):  # in turns: the machine's speed changes
            bare.append(bare_copy())
            reset_peak()
            exported.append(export(account.account_id))
        peak_mb = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE events_event, events_eventdescriptor")
        Task.objects.unscoped().all().delete()
        account.delete()
    speed, base = ROWS / min(exported), ROWS / min(bare)
    return [
        Row(f"export of {ROWS:,} events as a task", speed, "rows/s", base, speed / base, "≥ .5 of bare COPY"),
        Row("resident memory of the process at its peak", peak_mb, "MB", goal="≤ 300 MB"),
    ]


def bare_copy() -> float:
    """Seconds of a COPY of the stored columns into a file."""
    columns = ", ".join(TOP if name == "top_match" else name for name in COLUMNS)
    statement = f"COPY (SELECT event_id, {columns} FROM events_event ORDER BY id) TO STDOUT (FORMAT csv)"  # noqa: S608
    start = time.perf_counter()
    with TemporaryFile() as file, connection.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for line in copy:
            file.write(line)
    return time.perf_counter() - start


def export(account_id: UUID) -> float:
    """Seconds of a task from its first stage to its end."""
    task = make_task(TYPE, {"objects_type": "events", "columns": COLUMNS}, account_id=account_id)
    start = time.perf_counter()
    run_all()
    seconds = time.perf_counter() - start
    task.refresh_from_db()
    assert task.task_status == TaskStatus.DONE
    return seconds


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
