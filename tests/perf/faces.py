"""Faces over HTTP beside the bare SQL for the same: one worker process, login and password on every request."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
from django.db import connection

from apps.common.times import format_time
from tests.perf.report import Row, percentile
from tests.perf.web import Client, at_once, platform

FACES = 1200
CLIENTS = 8
PAGES = 200
ROUNDS = 4  # the API and its baseline take turns: both see the same machine
INSERT = """
INSERT INTO faces_face (account_id, face_id, external_id, user_data, avatar, create_time, last_update_time)
VALUES (%s, %s, %s, %s, '', now(), now())
"""
PAGE = """
SELECT face_id, account_id, event_id, user_data, create_time, external_id, avatar,
    ARRAY(SELECT list.list_id FROM faces_listface link JOIN faces_list list ON list.id = link.list_id
          WHERE link.face_id = face.id ORDER BY link.id)
FROM faces_face face WHERE account_id = %s ORDER BY id DESC LIMIT 100
"""
NAMES = ("face_id", "account_id", "event_id", "user_data", "create_time", "external_id", "avatar", "lists")


def bench() -> list[Row]:
    with platform() as (account_id, client):
        rows = creation(account_id, client)
        rows.append(page(account_id, client()))
    return rows


def connect() -> psycopg.Connection[Any]:
    """A connection of psycopg alone, as bare as Python has it."""
    return psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}, autocommit=True)


def creation(account_id: UUID, client: Callable[[], Client]) -> list[Row]:
    """Faces per second, each of a request and a transaction of its own, against an INSERT and a commit each."""

    def requests() -> Callable[[int], object]:
        asking = client()
        return lambda place: asking.ask("POST", "/6/faces", face_body(place))

    def inserts() -> Callable[[int], object]:
        bare = connect()
        return lambda place: bare.execute(INSERT, (account_id, uuid4(), f"external-{place}", f"person {place}"))

    rows = []
    for clients, name in ((1, "one client"), (CLIENTS, f"{CLIENTS} clients")):
        at_once(clients, requests, 50)
        api_s, bare_s = alternate(partial(at_once, clients, requests), partial(at_once, clients, inserts))
        rows.append(
            Row(f"faces created, {name}", FACES / api_s, "/s", FACES / bare_s, bare_s / api_s, ">= 0.25 of INSERT")
        )  # fmt: skip
    return rows


def alternate(api: Callable[[int], float], bare: Callable[[int], float]) -> tuple[float, float]:
    """Seconds of both for FACES, in ROUNDS turns."""
    api_s = bare_s = 0.0
    for _ in range(ROUNDS):
        api_s += api(FACES // ROUNDS)
        bare_s += bare(FACES // ROUNDS)
    return api_s, bare_s


def face_body(place: int) -> bytes:
    return orjson.dumps({"external_id": f"external-{place}", "user_data": f"person {place}"})


def page(account_id: UUID, client: Client) -> Row:
    """100 faces in two lists each, p50 in milliseconds, against one SELECT and orjson."""
    for number in range(2):
        list_id = orjson.loads(client.ask("POST", "/6/lists", b"{}"))["list_id"]
        faces = orjson.loads(client.ask("GET", "/6/faces?page_size=100"))["faces"]
        body = {"action": "attach", "face_ids": [face["face_id"] for face in faces]}
        client.ask("PATCH", f"/6/lists/{list_id}/faces", orjson.dumps(body))
        assert all(len(face["lists"]) == number for face in faces)
    bare = connect()

    def select() -> bytes:
        rows = bare.execute(PAGE, (account_id,)).fetchall()
        return orjson.dumps({"faces": [shape(row) for row in rows]})

    by_api, by_sql = client.ask("GET", "/6/faces?page_size=100"), select()
    assert orjson.loads(by_api) == orjson.loads(by_sql)
    api_ms, bare_ms = [], []
    for _ in range(PAGES):
        api_ms.append(milliseconds(lambda: client.ask("GET", "/6/faces?page_size=100")))
        bare_ms.append(milliseconds(select))
    value, baseline = percentile(api_ms, 50), percentile(bare_ms, 50)
    return Row("GET /6/faces?page_size=100, p50", value, "ms", baseline, value / baseline, "<= 3 times SQL + JSON")


def shape(row: Sequence[Any]) -> dict[str, Any]:
    face = dict(zip(NAMES, row, strict=True))
    return face | {"create_time": format_time(face["create_time"]), "avatar": face["avatar"] or None}


def milliseconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return (time.perf_counter() - started) * 1e3
