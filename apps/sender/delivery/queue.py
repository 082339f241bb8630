"""The outbox as a queue of all workers: claims with a lease, results, dead letters.

A claim moves `due_time` to the end of its lease. If the worker dies, another one claims the callback then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from apps.common.config import config
from apps.events.config import EventsStorage
from apps.sender.config import Callbacks

LONGEST_S = 60.0  # of an attempt at a target without `timeout_s`
MARGIN_S = 15.0  # of a lease beyond the attempt: a name is resolved before, the result is stored after it

# `servers` walks the index from server to server, so a million callbacks of one server cost as much as one. Servers are
# taken in random order: with more servers than slots, none starves.
CLAIM = """
WITH RECURSIVE servers(server, account_id) AS (
    (SELECT server, account_id FROM sender_callback WHERE dead_time IS NULL ORDER BY server LIMIT 1)
    UNION ALL
    SELECT next.server, next.account_id FROM servers, LATERAL (
        SELECT server, account_id FROM sender_callback
        WHERE dead_time IS NULL AND server > servers.server ORDER BY server LIMIT 1
    ) AS next
),
ready AS (
    SELECT servers.server, servers.account_id, coalesce(known.room, %(target_calls)s) AS room
    FROM servers LEFT JOIN unnest(%(servers)s::uuid[], %(server_rooms)s::int[]) AS known(server, room) USING (server)
    WHERE coalesce(known.room, %(target_calls)s) > 0 AND EXISTS (
        SELECT 1 FROM sender_callback AS one
        WHERE one.dead_time IS NULL AND one.server = servers.server AND one.due_time <= now()
    )
    ORDER BY random() LIMIT %(slots)s
),
due AS (
    SELECT locked.id, ready.account_id, row_number() OVER (PARTITION BY ready.account_id) AS number
    FROM ready CROSS JOIN LATERAL (
        SELECT id FROM sender_callback AS one
        WHERE one.dead_time IS NULL AND one.server = ready.server AND one.due_time <= now()
        ORDER BY one.due_time LIMIT ready.room FOR UPDATE SKIP LOCKED
    ) AS locked
),
chosen AS (
    SELECT due.id FROM due
    LEFT JOIN unnest(%(accounts)s::uuid[], %(account_rooms)s::int[]) AS known(account_id, room) USING (account_id)
    WHERE due.number <= coalesce(known.room, %(account_calls)s) LIMIT %(slots)s
)
UPDATE sender_callback AS taken
SET attempts = attempts + 1,
    due_time = now() + (coalesce((target->>'timeout_s')::float8, %(longest_s)s) + %(margin_s)s) * interval '1 second'
FROM chosen WHERE taken.id = chosen.id
RETURNING taken.id, taken.callback_id, taken.account_id, taken.server, taken.kind, taken.target, taken.place,
    taken.payload, taken.attempts, taken.traceparent
"""
TARGET_COLUMN = 5  # of the rows of CLAIM
# `attempts` identifies the lease: a worker that outlived it does not overwrite the result of the next one.
RETRY = """
UPDATE sender_callback AS failed
SET due_time = now() + given.delay_s * interval '1 second', error = given.error,
    dead_time = CASE WHEN now() + given.delay_s * interval '1 second' > expire_time THEN now() END
FROM unnest(%s::bigint[], %s::int[], %s::float8[], %s::text[]) AS given(id, attempts, delay_s, error)
WHERE failed.id = given.id AND failed.attempts = given.attempts
RETURNING failed.callback_id, failed.place, failed.error, failed.dead_time IS NOT NULL
"""
EXPIRE = """
UPDATE sender_callback SET dead_time = now(), error = CASE error WHEN '' THEN 'never attempted' ELSE error END
WHERE dead_time IS NULL AND expire_time < now() AND due_time <= now()
"""
CLEAN = """
DELETE FROM sender_callback WHERE id IN (
    SELECT id FROM (
        SELECT id, dead_time, row_number() OVER (PARTITION BY account_id ORDER BY dead_time DESC) AS number
        FROM sender_callback WHERE dead_time IS NOT NULL
    ) AS dead WHERE number > %s OR dead_time < now() - %s * interval '1 day'
)
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A callback that this worker may deliver until its lease ends."""

    key: int
    callback_id: UUID
    account_id: UUID | None
    server: UUID
    kind: str
    target: Mapping[str, Any]
    place: str
    payload: str
    attempts: int  # this one included
    traceparent: str | None = None  # the span that created the callback


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed attempt. `delay_s`: seconds until the next one; infinite if a retry would fail too."""

    claimed: Claimed
    delay_s: float
    error: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A stored failure. `dead`: whether the callback became a dead letter."""

    callback_id: UUID
    place: str
    error: str
    dead: bool


def claim(*, slots: int, server_rooms: Mapping[UUID, int], account_rooms: Mapping[UUID, int]) -> list[Claimed]:
    """Claim at most `slots` due callbacks.

    `server_rooms`, `account_rooms`: how many more callbacks a server and an account may have in delivery, for those
    that have any; the others have the limits of `LUNA_CALLBACKS`.
    """
    limits = config(Callbacks)
    parameters: dict[str, Any] = {
        "slots": slots,
        "target_calls": limits.target_calls,
        "account_calls": limits.account_calls,
        "servers": [*server_rooms],
        "server_rooms": [*server_rooms.values()],
        "accounts": [*account_rooms],
        "account_rooms": [*account_rooms.values()],
        "longest_s": LONGEST_S,
        "margin_s": MARGIN_S,
    }
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, parameters)
        rows: list[Any] = cursor.fetchall()
    return [Claimed(*_loaded(row)) for row in rows]


def _loaded(row: tuple[Any, ...]) -> list[Any]:
    """Return the row with its target decoded: Django's connections load no JSON."""
    return [orjson.loads(value) if column == TARGET_COLUMN else value for column, value in enumerate(row)]


def delivered(keys: Sequence[int]) -> None:
    """Delete delivered callbacks."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sender_callback WHERE id = ANY(%s)", [list(keys)])


def failed(failures: Sequence[Failed]) -> list[Refused]:
    """Store failed attempts. A callback without time for another attempt becomes a dead letter."""
    columns: list[Any] = [
        [each.claimed.key for each in failures],
        [each.claimed.attempts for each in failures],
        [min(float(each.delay_s), 1e9) for each in failures],  # psycopg accepts no array of mixed types
        [each.error for each in failures],
    ]
    with connection.cursor() as cursor:
        cursor.execute(RETRY, columns)
        return [Refused(*row) for row in cursor.fetchall()]


def expire_and_clean() -> int:
    """Turn callbacks whose time is over into dead letters, and remove old dead letters. Return the former's number.

    A dead letter does not outlive the retention of events.
    """
    settings = config(Callbacks)
    with connection.cursor() as cursor:
        cursor.execute(EXPIRE)
        expired: int = cursor.rowcount
        retention_days = config(EventsStorage).retention_days or settings.dead_days
        cursor.execute(CLEAN, [settings.dead_limit, min(settings.dead_days, retention_days)])
    return expired
