"""Writes of events. Events are immutable, so no function updates them."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

import orjson
from django.db import IntegrityError
from pgvector import Vector as PgVector

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.prepared import prepared_cursor
from apps.common.times import utc_now
from apps.events.types import EventDraft, EventRecord

COLUMNS = ", ".join(field.name for field in fields(EventDraft))
# Hand-written SQL, because every generation of events runs it. The ORM needs two round trips, and builds its statements
# slower than PostgreSQL executes them. One JSON text is cheaper to write and to parse than fifty literals.
STATEMENT = f"""
WITH made AS (
    INSERT INTO events_event (account_id, insert_time, {COLUMNS})
    SELECT %s, %s, {COLUMNS} FROM json_populate_recordset(NULL::events_event, %s)
    RETURNING event_id, id
)
INSERT INTO events_eventdescriptor (event_id, version, vector, score)
SELECT made.id, version, vector::vector, score
FROM json_to_recordset(%s) AS given(event_id uuid, version int, vector text, score float8) JOIN made USING (event_id)
"""  # noqa: S608 (names of our own columns)


def events_create(*, account_id: UUID, records: Sequence[EventRecord]) -> None:
    """Store events and their descriptors with one statement.

    Raises LunaError EVENT_EXISTS if an event id exists; this aborts the caller's transaction.
    """
    if not records:
        return
    events = [record.draft.facts() for record in records]
    descriptors = [
        {
            "event_id": record.draft.event_id,
            "version": each.version,
            "vector": PgVector(each.vector).to_text(),
            "score": each.score,
        }
        for record in records
        for each in record.descriptors
    ]
    parameters: list[Any] = [account_id, utc_now(), orjson.dumps(events).decode(), orjson.dumps(descriptors).decode()]
    try:
        with prepared_cursor() as cursor:
            cursor.execute(STATEMENT, parameters)
    except IntegrityError as error:
        raise LunaError(errors.EVENT_EXISTS, ", ".join(str(record.draft.event_id) for record in records)) from error
