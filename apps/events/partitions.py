"""Time partitions of events and their descriptors: made ahead of time, dropped after the retention time.

The key of an event holds the time of its storage (`events_key` of the migration), and both tables are partitioned by
ranges of keys. One column remains the primary key, so rows refer to events as to any other table. The last partition,
`*_future`, has no upper bound: a row always finds a partition, even if no process has made partitions for months. It
replaces a DEFAULT partition, which would forbid `DETACH … CONCURRENTLY`.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common.config import config
from apps.common.locks import advisory_lock
from apps.common.times import utc_now
from apps.events.config import EventsStorage

logger = logging.getLogger(__name__)

EVENTS, DESCRIPTORS = "events_event", "events_eventdescriptor"
TABLES = {EVENTS: "id", DESCRIPTORS: "event_id"}
"""The partitioned tables, with the column of the key. Retention drops events before their descriptors."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEQUENCE_BITS = 20
LOCK = "partitions of events"
LOCK_TIMEOUT_MS = 3000
BOUNDS = re.compile(r"FOR VALUES FROM \((?:'(-?\d+)'|MINVALUE)\) TO \((?:'(-?\d+)'|MAXVALUE)\)")
PARTITIONS = """
SELECT child.relname, pg_get_expr(child.relpartbound, child.oid), inhdetachpending
FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = %s::regclass
"""
DETACHED = "SELECT relname FROM pg_class WHERE relname ~ %s AND relkind = 'r' AND NOT relispartition ORDER BY relname"

FOLLOWERS = {"events_thinevent": "event_key"}
"""Tables with rows of events, by their column of the key. Their triggers do not see that a partition is dropped."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A range of keys, `low` inclusive and `high` exclusive; None is no bound. `detaching`: its removal has begun."""

    name: str
    low: int | None
    high: int | None
    detaching: bool = False


def key_at(moment: datetime) -> int:
    """Return the smallest key of an event that is stored at `moment`: milliseconds since 1970, then 20 bits."""
    return (moment - EPOCH) // timedelta(milliseconds=1) << SEQUENCE_BITS


def time_of(key: int) -> datetime:
    """Return the time of storage that a key holds, in milliseconds."""
    return EPOCH + timedelta(milliseconds=key >> SEQUENCE_BITS)


def partitions_of(table: str) -> list[Partition]:
    """Return the partitions of a table in the order of time; the last one has no upper bound."""
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [table])
        rows = cursor.fetchall()
    found = [Partition(name, *_bounds(text), detaching=bool(pending)) for name, text, pending in rows]
    return sorted(found, key=lambda each: (each.low is not None, each.low))


def _bounds(text: str) -> tuple[int | None, int | None]:
    matched = BOUNDS.fullmatch(text)
    if matched is None:
        raise ValueError(f"a partition with unknown bounds: {text}")
    low, high = matched.groups()
    return None if low is None else int(low), None if high is None else int(high)


def boundary_after(moment: datetime, period: str) -> datetime:
    """Return the first time after `moment` at which a partition of the period (day, week, month, year) may begin."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return day + timedelta(days=1)
    if period == "week":
        return day + timedelta(days=7 - day.weekday())
    first = day.replace(day=1)
    if period == "year":
        return first.replace(year=first.year + 1, month=1)
    return (first + timedelta(days=32)).replace(day=1)


def partitions_make(*, now: datetime | None = None) -> list[str]:
    """Make the partitions of the coming `partitions_ahead` periods, and return the names of the new ones.

    Also makes those of ranges that no partition covers, because their events were dropped: a clock that is set back
    stores there. Idempotent and safe in several processes. Locks the tables for some milliseconds if partitions are
    missing. Raises OperationalError if it does not get the lock in `LOCK_TIMEOUT_MS`; rows then go into the last
    partition.
    """
    settings = config(EventsStorage)
    end = now = now or utc_now()
    for _ in range(settings.partitions_ahead + 1):  # the current period, and those ahead
        end = boundary_after(end, settings.partition_period)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [LOCK])
        found = {table: partitions_of(table) for table in TABLES}
        if not all(found.values()):  # of an older release, whose migration has not run
            return []
        futures = {table: partitions[-1] for table, partitions in found.items()}
        low = futures[EVENTS].low
        start = now if low is None else time_of(low)
        gaps = {table: [*_gaps(partitions)] for table, partitions in found.items()}
        if start >= end and not any(gaps.values()):
            return []
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE")
        filled = [name for table in TABLES for gap in gaps[table] for name in _fill(table, *gap)]
        if start >= end:
            return filled
        last = _last_key(futures)
        # Rows that the last partition holds already stay where they are.
        covered = start if last is None else max(now, time_of(last))
        ranges = [*_periods(start, covered, end, settings.partition_period)]
        return filled + [name for table, future in futures.items() for name in _extend(table, future, ranges)]


def _gaps(partitions: Sequence[Partition]) -> Iterator[tuple[int | None, int]]:
    """Yield the ranges of keys that no partition covers, in front of and between the given ones."""
    reached: int | None = None
    for each in partitions:
        if each.low is not None and each.low != reached:
            yield reached, each.low
        reached = each.high


def _fill(table: str, low: int | None, high: int) -> Iterator[str]:
    """Make the partition of a range, unless a detached table with its name waits to be dropped."""
    name = f"{table}_p{time_of(low or 0):%Y%m%d}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NULL", [name])
        if cursor.fetchone() == (True,):
            _create(table, name, "MINVALUE" if low is None else low, high)
            yield name


def _create(table: str, name: str, low: object, high: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({low}) TO ({high})")
        if table == EVENTS:  # a unique index of all partitions would have to include the key
            cursor.execute(f"CREATE UNIQUE INDEX ON {name} (event_id)")


def _periods(start: datetime, covered: datetime, end: datetime, period: str) -> Iterator[tuple[datetime, datetime]]:
    """Yield consecutive partitions from `start` to `end`, the first of which includes the time `covered`."""
    after = boundary_after(max(start, covered), period)
    yield start, after
    while after < end:
        start, after = after, boundary_after(after, period)
        yield start, after


def _last_key(futures: Mapping[str, Partition]) -> int | None:
    """Return the greatest key in the last partitions, None if they are empty."""
    found = []
    with connection.cursor() as cursor:
        for table, future in futures.items():
            cursor.execute(f"SELECT max({TABLES[table]}) FROM {future.name}")  # noqa: S608 - our names
            found += [key for (key,) in cursor.fetchall() if key is not None]
    return max(found, default=None)


def _extend(table: str, future: Partition, ranges: Sequence[tuple[datetime, datetime]]) -> list[str]:
    """Bound the last partition by the first range, append the other ranges and a new last partition."""
    named = [(f"{table}_p{start:%Y%m%d}", key_at(after)) for start, after in ranges]
    (first, high), *others = named
    names: list[tuple[str, int | None]] = [*others, (f"{table}_future", None)]
    low = "MINVALUE" if future.low is None else future.low
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {future.name}")
        cursor.execute(f"ALTER TABLE {future.name} RENAME TO {first}")
        cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {first} FOR VALUES FROM ({low}) TO ({high})")
        for name, after in names:
            _create(table, name, high, "MAXVALUE" if after is None else after)
            high = after or high  # the last one has no upper bound, and none follows it
    return [name for name, _ in named]


def partitions_expire(*, now: datetime | None = None) -> list[str]:
    """Drop the partitions whose events are all older than `retention_days`, and return their names.

    The events are detached first, without a lock that stops searches or saves; then rows that follow them, and their
    descriptors. An interrupted run leaves the rest to the next one. Each dropped partition leaves an audit line.
    """
    days = config(EventsStorage).retention_days
    cutoff = key_at((now or utc_now()) - timedelta(days=days)) if days else None
    dropped = []
    with advisory_lock(LOCK) as ours:
        for table in TABLES if ours else ():
            for each in _expired(partitions_of(table), cutoff):
                _detach(table, each)
            for name in _detached(table):
                _drop(table, name)
                dropped.append(name)
    return dropped


def _expired(partitions: Sequence[Partition], cutoff: int | None) -> list[Partition]:
    """Return the partitions to drop. An empty first one stays alone: `partitions_make` would make it again."""
    old = [each for each in partitions if cutoff is not None and each.high is not None and each.high <= cutoff]
    if len(old) == 1 and old[0].low is None and _is_empty(old[0]):
        old = []
    return [each for each in partitions if each in old or each.detaching]


def _is_empty(partition: Partition) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT FROM {partition.name} LIMIT 1")
        return cursor.fetchone() is None


def partition_drop(*, low: int | None, high: int, actor: Actor | None = None) -> None:
    """Drop the events of a partition, from key `low` to key `high`, with what follows them. Idempotent.

    Works as `partitions_expire` and outside a transaction; an interrupted call is continued by the next one, or by the
    next retention. Waits for statements that read the partition.
    """
    with advisory_lock(LOCK, wait=True):
        for table in TABLES:
            for each in partitions_of(table):
                if (each.low, each.high) == (low, high):
                    _detach(table, each)
            for name in _detached(table):
                _drop(table, name, actor)


def _detach(table: str, partition: Partition) -> None:
    """Take a partition out of its table; searches and saves continue, and the statement waits for those that run."""
    how = "FINALIZE" if partition.detaching else "" if connection.in_atomic_block else "CONCURRENTLY"
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {partition.name} {how}")


def _detached(table: str) -> list[str]:
    """Return the tables that were partitions of `table`."""
    with connection.cursor() as cursor:
        cursor.execute(DETACHED, [f"^{table}_p[0-9]{{8}}$"])
        return [name for (name,) in cursor.fetchall()]


@transaction.atomic
def _drop(table: str, name: str, actor: Actor | None = None) -> None:
    """Drop a detached partition. If it holds events, the rows of other tables that follow them are deleted first."""
    with connection.cursor() as cursor:
        if table == EVENTS:
            cursor.execute(f"SELECT min(id), max(id) FROM {name}")  # noqa: S608 - our names
            keys = cursor.fetchone()
            for follower, key in FOLLOWERS.items():
                cursor.execute(f"DELETE FROM {follower} WHERE {key} BETWEEN %s AND %s", keys)  # noqa: S608 - our names
            audit_write(action="delete", object_type="events", object_id=name, actor=actor)
        cursor.execute(f"DROP TABLE {name}")
    logger.info("%s is dropped", name)
