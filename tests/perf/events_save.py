"""Events saved per second through the service, beside bare binary COPY of the same rows."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_urlsafe
from uuid import UUID, uuid4

import numpy as np
from django.db import connection, transaction

from apps.accounts.services import account_create
from apps.common.config import override_config
from apps.common.descriptors import Descriptor
from apps.common.times import utc_now
from apps.events.config import EventsStorage
from apps.events.copying import DESCRIPTORS, EVENTS
from apps.events.saving import events_enqueue, saver
from apps.events.services import events_create
from apps.events.types import EventDraft, EventRecord
from tests.perf.report import Row

EVENTS_EACH = 3000
BATCH = 50
DIMENSION = 128
THREADS = 8


def records(count: int) -> list[EventRecord]:
    """Events of faces as the pipeline stores them, each with a descriptor, a detection and a match."""
    vectors = np.random.default_rng(0).standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    face = {"face_id": str(uuid4()), "external_id": "guest", "user_data": "a guest", "lists": [str(uuid4())]}
    matches = [{"label": "all", "candidates": [{"face": face, "event": None, "similarity": 0.9}]}]
    detection = {
        "sample_id": str(uuid4()),
        "detection": {"rect": {"x": 10, "y": 20, "width": 100, "height": 120}},
        "detect_time": None,
        "detect_ts": None,
        "image_origin": None,
    }
    return [
        EventRecord(
            EventDraft(
                create_time=utc_now(),
                handler_id=uuid4(),
                source="camera 1",
                tags=["known"],
                age=30,
                gender=1,
                emotion=4,
                face_detections=[detection],
                match_result=matches,
                top_matching_candidates_label="all",
                top_similar_object_id=uuid4(),
                top_similar_object_type=0,
                top_similar_object_similarity=0.9,
            ),
            (Descriptor(1, vectors[place], 0.9),),
        )
        for place in range(count)
    ]


def per_second(save: Callable[[list[EventRecord]], None], size: int) -> float:
    made = records(EVENTS_EACH)
    batches = [made[start : start + size] for start in range(0, len(made), size)]
    started = time.perf_counter()
    for batch in batches:
        save(batch)
    return len(made) / (time.perf_counter() - started)


def bare(account_id: UUID) -> float:
    """Binary COPY of the same rows, whose bytes are ready: time of PostgreSQL alone, indexes and commits included."""
    events, descriptors = (re.search(r"\((.*?)\) FROM", each)[1] for each in (EVENTS, DESCRIPTORS))  # type: ignore[index]
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE events_event, events_eventdescriptor")
    events_create(account_id=account_id, records=records(EVENTS_EACH))
    with connection.cursor() as cursor:
        cursor.execute("SELECT array_agg(id ORDER BY id) FROM events_event")
        keys = cursor.fetchall()[0][0]
    batches = []
    for start in range(0, len(keys), BATCH):
        between = f"BETWEEN {keys[start]} AND {keys[start : start + BATCH][-1]}"
        batches.append(
            (
                _bytes(f"SELECT {events} FROM events_event WHERE id {between} ORDER BY id"),  # noqa: S608
                _bytes(f"SELECT {descriptors} FROM events_eventdescriptor WHERE event_id {between} ORDER BY 1"),  # noqa: S608
            )
        )
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE events_event, events_eventdescriptor")
    started = time.perf_counter()
    for rows, vectors in batches:
        with transaction.atomic(), connection.connection.cursor() as cursor:
            for statement, data in ((EVENTS, rows), (DESCRIPTORS, vectors)):
                with cursor.copy(statement) as copy:
                    copy.write(data)
    return len(keys) / (time.perf_counter() - started)


def _bytes(statement: str) -> bytes:
    with connection.connection.cursor() as cursor, cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT BINARY)") as copy:
        return b"".join(bytes(part) for part in copy)


def _by_threads(save: Callable[[list[EventRecord]], None]) -> float:
    """Events of concurrent requests, each with a connection of its own: PostgreSQL joins their commits."""

    def work(_: int) -> None:
        per_second(save, 1)
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    return THREADS * EVENTS_EACH / (time.perf_counter() - started)


def _queued(account_id: UUID) -> float:
    """Events of concurrent requests that do not wait, until the last one is stored."""

    def work(_: int) -> None:
        for record in records(EVENTS_EACH):
            events_enqueue(account_id=account_id, records=[record])

    with override_config(EventsStorage, save_queue_length=THREADS * EVENTS_EACH):
        started = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        while saver().status()["events"]:
            time.sleep(0.005)
        return THREADS * EVENTS_EACH / (time.perf_counter() - started)


def bench() -> list[Row]:
    """One event a transaction, batches of 50 a transaction, and the bare COPY before and after them."""
    account_id = account_create(login=f"{uuid4().hex}@example.com", password=token_urlsafe()).account_id

    def save(batch: list[EventRecord]) -> None:
        with transaction.atomic():
            events_create(account_id=account_id, records=batch)

    bare(account_id)
    baseline = bare(account_id)
    single, batched = per_second(save, 1), per_second(save, BATCH)
    baseline = (baseline + bare(account_id)) / 2
    return [
        Row("events saved one by one", single, "/s", baseline, single / baseline, ">= 2,500 /s"),
        Row(f"events saved in batches of {BATCH}", batched, "/s", baseline, batched / baseline, ">= .75 of COPY"),
        Row(f"events saved one by one by {THREADS} threads", _by_threads(save), "/s"),
        Row(f"events queued by {THREADS} threads (`wait_saving` 0), until stored", _queued(account_id), "/s"),
        *(Row(f"  in batches of {size}", per_second(save, size), "/s") for size in (4, 8, 16)),
    ]
