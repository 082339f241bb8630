"""Tables of faces and events for spreadsheets, streamed from PostgreSQL: its COPY builds the cells of the rows."""

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from apps.common.scope import Scope
from apps.events.cells import EVENT_CELLS, EVENT_ID
from apps.events.models import Event
from apps.events.selectors import events_filter
from apps.faces.cells import FACE_CELLS, FACE_ID
from apps.faces.models import Face
from apps.faces.selectors import faces_filter
from apps.tasks.archives import CHUNK_BYTES
from apps.tasks.filters import ObjectsType
from apps.tasks.types.base import StageEnded, TaskRun

WATCH_S = 0.2
Chunks = Generator["Rows", None, None]
DELIMITERS = (",", ";", "|", "\t", ":", " ", "~", "^", "#")


@dataclass(frozen=True, slots=True)
class Kind:
    """Faces or events: the model, the column of the public id, and the SQL of the cells by column."""

    model: type[Any]
    name: str
    object_id: str
    cells: Mapping[str, str]


KINDS: Mapping[ObjectsType, Kind] = {
    "faces": Kind(Face, "face_id", FACE_ID, FACE_CELLS),
    "events": Kind(Event, "event_id", EVENT_ID, EVENT_CELLS),
}


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a table: its objects, the columns after the id, and the delimiter."""

    objects_type: ObjectsType
    columns: Sequence[str]
    delimiter: str

    @property
    def kind(self) -> Kind:
        return KINDS[self.objects_type]

    def header(self, *first: str) -> bytes:
        """Return the first line of the table. `first`: columns before the id."""
        return (self.delimiter.join([*first, self.kind.name, *self.columns]) + "\n").encode()

    def cells(self) -> list[str]:
        return [self.kind.cells[name] for name in self.columns]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a table: their lines in CSV, UTF-8."""

    lines: bytes
    count: int


def objects_of(objects_type: ObjectsType, *, scope: Scope, filters: Mapping[str, Any]) -> "QuerySet[Any]":
    """Return the faces or events of the scope that pass the filters, unordered."""
    if objects_type == "faces":
        return faces_filter(scope=scope, filters=filters)
    return events_filter(scope=scope, filters=filters)


def objects_rows(run: TaskRun, objects: "QuerySet[Any]", form: Form) -> "closing[Chunks]":
    """Open the rows of objects, ordered by key: the id, then the columns."""
    cells = [RawSQL(cell, ()) for cell in (form.kind.object_id, *form.cells())]  # noqa: S611 - our own SQL
    try:
        statement, parameters = objects.order_by("pk").values_list(*cells).query.sql_with_params()
    except EmptyResultSet:  # an empty list of ids
        return closing(_none())
    return closing(_copied(run, statement, parameters, form.delimiter))


def numbered_rows(run: TaskRun, numbered: Sequence[tuple[int, UUID]], form: Form, *, scope: Scope) -> "closing[Chunks]":
    """Open a row of each id, in this order: number, id, columns. Those of objects that are gone are empty."""
    table = form.kind.model._meta.db_table
    statement = f"""SELECT {", ".join(["given.number", "given.id", *form.cells()])}
    FROM unnest(%s::bigint[], %s::uuid[]) WITH ORDINALITY AS given(number, id, place)
    LEFT JOIN {table} ON {form.kind.object_id} = given.id AND (%s::uuid IS NULL OR {table}.account_id = %s::uuid)
    ORDER BY given.place"""  # noqa: S608 - our own names
    numbers, ids = [number for number, _ in numbered], [each for _, each in numbered]
    return closing(_copied(run, statement, (numbers, ids, scope.account_id, scope.account_id), form.delimiter))


def _none() -> Chunks:
    yield from ()


def _copied(run: TaskRun, statement: str, parameters: Sequence[Any], delimiter: str) -> Chunks:
    """Yield rows in chunks. Whoever opens it closes it: until then, the connection can do nothing else."""
    copy_statement: Any = f"COPY ({statement}) TO STDOUT (FORMAT csv, DELIMITER '{delimiter}')"
    lines: list[Any] = []
    size = 0
    with (
        watched(run),
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
        cursor.copy(copy_statement, parameters) as copy,
    ):
        for line in copy:
            lines.append(line)
            size += len(line)
            if size >= CHUNK_BYTES:
                run.check()
                yield Rows(b"".join(lines), len(lines))
                lines, size = [], 0
    run.check()
    yield Rows(b"".join(lines), len(lines))


@contextmanager
def watched(run: TaskRun) -> Iterator[None]:
    """Cancel the connection's statement when the stage must end. Raises the errors of `run.check` then.

    A statement can run for long before its first row, for example while it sorts.
    """
    connection.ensure_connection()
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(run, ended, connection.connection), daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        run.check()
        raise
    finally:
        ended.set()
        watcher.join()


def _watch(run: TaskRun, ended: threading.Event, watched_connection: "psycopg.Connection[Any]") -> None:
    while not ended.wait(WATCH_S):
        try:
            run.check()
        except StageEnded:
            watched_connection.cancel_safe()
            return
