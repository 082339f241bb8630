"""Reads for copies of lists outside of the database: their state, their changes and exact cosines of proposed faces.

Each read is one statement and therefore one snapshot. `Mark` is a point in the history of descriptors: the oldest
transaction that was still running. A reader applies the changes since its mark and takes the new mark.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray
from pgvector import Vector as PgVector

from apps.common.descriptors import Vector
from apps.common.nearest import Members
from apps.common.prepared import planned_cursor, prepared_cursor
from apps.faces.nearest import DESCRIPTORS

Keys = NDArray[np.int64]
BATCH_ROWS = 10_000
PURGE_AFTER = "1 day"
HEADER_BYTES, TRAILER_BYTES = 19, 2  # of COPY's binary format


class ListKeys(NamedTuple):
    """State of a list: database key, id, account, and the counts of links and unlinks."""

    key: int
    list_id: UUID
    account_id: UUID
    link_key: int
    unlink_key: int

    @property
    def faces(self) -> int:
        return self.link_key - self.unlink_key


@dataclass(frozen=True, slots=True)
class Mark:
    """What a copy of a list has seen: the list's counts, and all descriptors of transactions before `xid`.

    `seen`: rows of the log of `xid` or later that are part of the copy, too.
    """

    link_key: int
    unlink_key: int
    xid: int
    seen: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Changes of a list: `gone` faces leave the copy, then `keys` with their vectors, float32 [n, d], enter it."""

    mark: Mark
    gone: Keys
    keys: Keys
    vectors: Vector


class GapError(Exception):
    """The history does not explain the state of the list: the copy must be made anew."""


MAY_READ_CLUSTER = """
SELECT has_function_privilege('pg_control_system()', 'EXECUTE')
   AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE')
"""
CLUSTER = """
SELECT system_identifier || '-' || timeline_id || '-' || oid FROM pg_control_system(), pg_control_checkpoint(),
pg_database WHERE datname = current_database()
"""
STARTED = "extract(epoch FROM pg_postmaster_start_time())::float8"
STARTED_TEXT = f"SELECT ({STARTED})::text"
LISTS = """
SELECT id, list_id, account_id, link_key, unlink_key FROM faces_list
WHERE link_key - unlink_key >= %s AND (%s::uuid[] IS NULL OR list_id = ANY(%s::uuid[]))
AND list_id <> ALL(%s::uuid[]) ORDER BY id
"""
LOG = """
SELECT {} FROM faces_descriptorchange c WHERE c.xid >= %s::text::xid8 AND (c.face_id IS NULL OR c.version = %s
    AND EXISTS (SELECT FROM faces_listface x WHERE x.list_id = %s AND x.face_id = c.face_id))
"""
XMIN = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
STATE = f"SELECT 'state', link_key, unlink_key, {XMIN}, {STARTED} FROM faces_list WHERE id = %s"  # noqa: S608
CHANGED = LOG.format("'changed', c.id, c.face_id, NULL::bigint, NULL::float8")
COSINES = """
SELECT 'cosine', %s::bigint, d.face_id, NULL::bigint, d.vector <#> %s::vector FROM faces_facedescriptor d
WHERE d.version = %s AND d.face_id = ANY(%s::bigint[])
AND EXISTS (SELECT FROM faces_listface x WHERE x.list_id = %s AND x.face_id = d.face_id)
"""
DELTA = f"""
WITH changed AS MATERIALIZED ({LOG.format("c.id, c.face_id")}), entered AS MATERIALIZED (
    SELECT face_id FROM faces_listface WHERE list_id = %s AND link_key > %s
), touched AS (
    SELECT face_id FROM entered UNION SELECT face_id FROM changed WHERE face_id IS NOT NULL
)
SELECT 'state', link_key, unlink_key, {XMIN}, NULL::bytea FROM faces_list WHERE id = %s
UNION ALL SELECT 'changed', id, face_id, NULL, NULL FROM changed
UNION ALL SELECT 'unlinked', face_key, link_key, NULL, NULL FROM faces_listunlink WHERE list_id = %s AND unlink_key > %s
UNION ALL SELECT 'entered', face_id, NULL, NULL, NULL FROM entered
UNION ALL SELECT 'touched', t.face_id, NULL, NULL, vector_send(d.vector) FROM touched t
    JOIN faces_listface x ON x.list_id = %s AND x.face_id = t.face_id
    JOIN faces_facedescriptor d ON d.face_id = t.face_id AND d.version = %s
"""  # noqa: S608 (statements of our own)
COPY = """
COPY (SELECT x.face_id, d.vector FROM faces_listface x JOIN faces_facedescriptor d ON d.face_id = x.face_id
      WHERE x.list_id = {} AND d.version = {} ORDER BY x.face_id) TO STDOUT (FORMAT BINARY)
"""
PURGE = """
WITH purged AS (
    DELETE FROM faces_descriptorchange WHERE change_time < now() - %s::interval RETURNING xid
)
INSERT INTO faces_descriptorchange (xid) SELECT max(xid) FROM purged HAVING count(*) > 0
"""


def cluster() -> str:
    """Return the identity of the database's history.

    A restored database has another one: its counts and transactions may repeat. If the role may not read it, each start
    of the server counts as a history of its own.
    """
    with connection.cursor() as cursor:
        cursor.execute(MAY_READ_CLUSTER)
        cursor.execute(CLUSTER if cursor.fetchone()[0] else STARTED_TEXT)
        return str(cursor.fetchone()[0])


def lists_of_at_least(*, faces: int, include: Sequence[UUID] | None, exclude: Sequence[UUID]) -> list[ListKeys]:
    """Return the lists with at least `faces` faces, of all accounts, in order of creation.

    `include`: only these, None for all.
    """
    wanted = None if include is None else list(include)
    with planned_cursor() as cursor:
        cursor.execute(LISTS, [faces, wanted, wanted, list(exclude)])
        return [ListKeys(*row) for row in cursor.fetchall()]


def lists_existing(list_ids: Sequence[UUID]) -> set[UUID]:
    """Return the ids that lists of any account have."""
    if not list_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT list_id FROM faces_list WHERE list_id = ANY(%s)", [list(list_ids)])
        return {list_id for (list_id,) in cursor.fetchall()}


class Decision(NamedTuple):
    """Exact cosines of proposed faces and the state of the list in the same snapshot.

    `cosines`: for each vector (face key, cosine), unordered. `pending`: rows of the log that the copy has not seen.
    `started`: start of the server in seconds since 1970; after another start the cluster may be another one.
    """

    mark: Mark | None  # None for a deleted list
    started: float
    pending: int
    purged: bool
    cosines: list[list[tuple[int, float]]]


def decide(
    *,
    list_key: int,
    version: int,
    mark: Mark,
    proposed: Sequence[Keys],
    vectors: Sequence[Vector],
    members: Sequence[Members] = (),
) -> Decision:
    """Compare proposed faces of a list with vectors, in PostgreSQL, and read the state of the list.

    `proposed`: face keys for each vector. `members`: further conditions of the faces.
    """
    statement = [STATE, CHANGED]
    parameters: list[Any] = [list_key, str(mark.xid), version, list_key]
    conditions = "".join(map(DESCRIPTORS.among, members))
    values = [value for each in members for value in each.parameters]
    for place, (keys, vector) in enumerate(zip(proposed, vectors, strict=True)):
        if len(keys):
            statement.append(COSINES + conditions)
            parameters += [place, PgVector(vector), version, keys.tolist(), list_key, *values]
    with planned_cursor() if members else prepared_cursor() as cursor:
        cursor.execute(" UNION ALL ".join(statement), parameters)
        rows = cursor.fetchall()
    state = [row for row in rows if row[0] == "state"]
    changed = {row[1]: row[2] for row in rows if row[0] == "changed"}
    cosines: list[list[tuple[int, float]]] = [[] for _ in vectors]
    for kind, place, key, _, distance in rows:
        if kind == "cosine":
            cosines[place].append((key, -distance))
    return Decision(
        Mark(state[0][1], state[0][2], state[0][3], frozenset(changed)) if state else None,
        state[0][4] if state else 0.0,
        len(changed.keys() - mark.seen),
        None in changed.values(),
        cosines,
    )


def delta(*, list_key: int, version: int, dimension: int, mark: Mark) -> Delta | None:
    """Return the changes of a list since `mark`, None for a deleted list.

    Raises GapError when the log does not reach back to the mark, or does not explain the list's counts.
    """
    with planned_cursor() as cursor:
        cursor.execute(
            DELTA,
            [
                *(str(mark.xid), version, list_key),
                *(list_key, mark.link_key),
                list_key,
                *(list_key, mark.unlink_key),
                *(list_key, version),
            ],
        )
        rows = cursor.fetchall()
    state = [row for row in rows if row[0] == "state"]
    if not state:
        return None
    _, link_key, unlink_key, xid, _ = state[0]
    changed = {row[1]: row[2] for row in rows if row[0] == "changed"}
    unlinked = [row[1:3] for row in rows if row[0] == "unlinked"]
    entered = [row[1] for row in rows if row[0] == "entered"]
    # Every count has its row: links since the mark exist or have ended.
    ended = sum(1 for _, key in unlinked if key > mark.link_key)
    if (
        None in changed.values()
        or any(face is None for face, _ in unlinked)
        or len(unlinked) != unlink_key - mark.unlink_key
        or len(entered) + ended != link_key - mark.link_key
    ):
        raise GapError
    touched = [(row[1], row[4]) for row in rows if row[0] == "touched"]
    if any(len(data) != 4 + 4 * dimension for _, data in touched):  # dimension and flags, then floats
        raise GapError
    gone = {face for face, _ in unlinked} | {face for face in changed.values() if face is not None} | set(entered)
    vectors = np.frombuffer(b"".join(bytes(data)[4:] for _, data in touched), ">f4").astype(np.float32)
    return Delta(
        Mark(link_key, unlink_key, xid, frozenset(changed)),
        np.array(sorted(gone), np.int64),
        np.array([key for key, _ in touched], np.int64),
        vectors.reshape(len(touched), dimension),
    )


def keys_of(members: Sequence[Members]) -> Keys:
    """Return the keys of the faces that pass all sub-selects, int64 [n], ascending.

    One value of 8 bytes per key: a row per key would take ten times as long to receive.
    """
    conditions = "".join(f" AND f.id IN ({each.sql})" for each in members)
    with planned_cursor() as cursor:
        cursor.execute(
            f"SELECT string_agg(int8send(f.id), ''::bytea) FROM faces_face f WHERE true{conditions}",  # noqa: S608
            [value for each in members for value in each.parameters],
        )
        data: bytes | None = cursor.fetchone()[0]
    return np.sort(np.frombuffer(bytes(data or b""), ">i8").astype(np.int64))


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Read within one snapshot of the database, which the first read takes; not inside another transaction."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


@contextmanager
def snapshot(*, list_key: int) -> Iterator[Mark | None]:
    """Read within one snapshot of the database; yield the state of a list in it, None for a deleted list."""
    with one_snapshot(), connection.cursor() as cursor:
        cursor.execute(f"SELECT link_key, unlink_key, {XMIN} FROM faces_list WHERE id = %s", [list_key])  # noqa: S608
        row = cursor.fetchone()
        yield None if row is None else Mark(*row)


def described_count(*, list_key: int, version: int) -> int:
    """Return the number of faces of a list with a descriptor of the version."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM faces_listface x JOIN faces_facedescriptor d ON d.face_id = x.face_id "
            "WHERE x.list_id = %s AND d.version = %s",
            [list_key, version],
        )
        return int(cursor.fetchone()[0])


def rows_copied(*, list_key: int, version: int, dimension: int) -> Iterator[tuple[Keys, Vector]]:
    """Yield face keys, int64 [n], ascending, and vectors, float32 [n, d], of a list in batches.

    PostgreSQL's binary COPY is read as arrays. Descriptors of another dimension raise GapError.
    """
    row = np.dtype(
        [
            *(("fields", ">i2"), ("key_size", ">i4"), ("key", ">i8")),
            *(("size", ">i4"), ("dimension", ">i2"), ("unused", ">i2"), ("vector", ">f4", (dimension,))),
        ]
    )
    parts: list[bytes] = []
    have, skip = 0, HEADER_BYTES
    with connection.cursor() as cursor, cursor.copy(COPY.format(int(list_key), int(version))) as copy:
        for part in copy:
            parts.append(bytes(part))
            have += len(part)
            if have >= skip + BATCH_ROWS * row.itemsize:
                data = b"".join(parts)
                yield _parsed(np.frombuffer(data, row, BATCH_ROWS, skip), dimension)
                parts = [data[skip + BATCH_ROWS * row.itemsize :]]
                have, skip = len(parts[0]), 0
    data = b"".join(parts)[skip:]
    count, rest = divmod(len(data) - TRAILER_BYTES, row.itemsize)
    if rest:
        raise GapError
    if count:
        yield _parsed(np.frombuffer(data, row, count), dimension)


def _parsed(rows: NDArray[np.void], dimension: int) -> tuple[Keys, Vector]:
    if not ((rows["dimension"] == dimension) & (rows["fields"] == 2)).all():
        raise GapError
    return rows["key"].astype(np.int64), rows["vector"].astype(np.float32)


def changes_purge() -> None:
    """Delete old rows of the log of descriptors. One row remains, which says that older copies must be made anew."""
    with connection.cursor() as cursor:
        cursor.execute(PURGE, [PURGE_AFTER])
