"""Linker of 100,000 faces and of 20,000 events, beside one bare INSERT … SELECT of the same links.

The types run without the machine of tasks: their statements and checkpoints only.
"""

import time

import numpy as np
from django.db import connection

from apps.accounts.services import account_create
from apps.common.descriptors import Descriptor
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.events.services import events_create
from apps.events.types import EventDraft, EventRecord
from apps.faces.models import List
from apps.tasks.types.linker import TYPE
from tests.perf.events import PASSWORD
from tests.perf.filling import FACES, analyze, version_register
from tests.perf.report import Row
from tests.tasks_run import run_task

OBJECTS, EVENTS = 100_000, 20_000
DIMENSION = 128
BARE = """
INSERT INTO faces_listface (list_id, face_id, link_key, link_time)
SELECT %s, id, row_number() OVER (ORDER BY id), now() FROM faces_face WHERE account_id = %s
"""


def bench() -> list[Row]:
    account = account_create(login="linker@luna.test", password=PASSWORD)
    with connection.cursor() as cursor:
        cursor.execute(FACES, [account.account_id, OBJECTS])
    analyze()
    row = List.objects.create(account=account)
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(BARE, [row.pk, account.account_id])
    bare = time.perf_counter() - started
    taken = _linked(Scope(account.account_id), "faces", OBJECTS)
    rows = [Row("linker, 100,000 faces", taken, "s", bare, taken / bare, "≤ 30 s")]

    account = account_create(login="linker-events@luna.test", password=PASSWORD)
    version = version_register(DIMENSION)
    vectors = np.random.default_rng(0).standard_normal((EVENTS, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for start in range(0, EVENTS, 1000):
        records = [
            EventRecord(EventDraft(create_time=utc_now(), age=30), (Descriptor(version.version, vector),))
            for vector in vectors[start : start + 1000]
        ]
        events_create(account_id=account.account_id, records=records)
    taken = _linked(Scope(account.account_id), "events", EVENTS)
    return [*rows, Row("linker, faces of 20,000 events, 128-d", taken, "s")]


def _linked(scope: Scope, objects_type: str, count: int) -> float:
    started = time.perf_counter()
    outcome = run_task(TYPE, {"objects_type": objects_type, "create_list": 1}, scope=scope)
    taken = time.perf_counter() - started
    assert len(outcome.result["face_ids"]) == count
    return taken
