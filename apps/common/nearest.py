"""Exact search of the stored descriptors nearest to a vector, with hand-written SQL for faces and events.

It is the platform's most frequent search. The ORM's work (building and compiling the query, second and third queries
for rows and lists) took longer than the scan in PostgreSQL. The join with the candidates takes longer than the
comparison. The search therefore avoids it for candidates that it can count in advance:

- If they are a large share of all objects, the search compares all, and checks only the nearest ones for being
  candidates. The share depends on whether the table fits into PostgreSQL's memory.
- Otherwise it passes their keys as one array. PostgreSQL then walks the index of descriptors once, in the order of
  keys, instead of descending it for each object: half of the time of a join at 10 % of 100,000 faces.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from pgvector import Vector as PgVector

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.prepared import planned_cursor, prepared_cursor
from apps.common.rows import ROWS_ESTIMATE

# No cast to the version's dimension: it costs 2 % of a scan and serves only vector indexes, which are not exact.
SCAN = """
    SELECT d.{owner}, d.vector <#> %s::vector AS distance
    FROM {table} d
    WHERE d.version = %s{members}
    ORDER BY distance, d.{owner}
    LIMIT %s
"""
PROPOSE = """
    SELECT d.{owner}, d.distance FROM ({scan}) d WHERE true{members} ORDER BY d.distance, d.{owner} LIMIT %s
"""
COUNT = f"SELECT (SELECT count(*) FROM ({{members}}) members), {ROWS_ESTIMATE}"  # noqa: S608 - our names
FITS = """
SELECT sum(pg_relation_size(relid)) <= pg_size_bytes(current_setting('shared_buffers'))
FROM pg_partition_tree('{table}'::regclass)
"""
# Minimum share of candidates, below which the walk is faster than comparing all. In a table that does not fit into
# `shared_buffers` the walk copies a page for nearly every row: lists of 10, 20 and 45 % of 100,000 512-d faces in
# turns took 107, 137 and 217 ms of PostgreSQL's CPU time, comparing all took 98, 103 and 93.
SHARE_MIN, SHARE_MIN_OF_LARGE = 0.5, 0.15
PROPOSALS_PER_RESULT = 2  # candidates that are to be among the proposals for each result: nearly always enough
PROPOSALS_MIN = 64
CENSUS_LIFETIME_S = 60
FEW = 1000  # up to this number of candidates planning takes longer than execution, and any plan is fast

Near = list[tuple[int, float]]
"""Database keys of objects, and cosines."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Table of descriptors. `owner`: its column with the key of the described object."""

    table: str
    owner: str

    def scan(self, members: str) -> str:
        return SCAN.format(table=self.table, owner=self.owner, members=members)

    def propose(self, members: str) -> str:
        return PROPOSE.format(owner=self.owner, scan=self.scan(""), members=members)

    def among(self, members: "Members") -> str:
        """Return the condition for a join with the candidates."""
        return f" AND d.{self.owner} IN ({members.sql})"

    def walk(self, members: "Members") -> str:
        """Return the condition for a walk through the index: the keys of the candidates as one array.

        The index needs them in order, and an ORDER BY sorts them in two thirds of the time that the index takes.
        """
        return f" AND d.{self.owner} = ANY(ARRAY({members.sql} ORDER BY 1))"


@dataclass(frozen=True, slots=True)
class Members:
    """Sub-select of the keys of candidates."""

    sql: str
    parameters: tuple[Any, ...]

    @classmethod
    def of(cls, rows: "QuerySet[Any]") -> "Members":
        """Return the keys of a query. Raises EmptyResultSet if no row passes, whatever is stored."""
        return cls(*rows.values("pk").query.sql_with_params())


def nearest(
    descriptors: Descriptors,
    *,
    members: Sequence[Members],
    countable: bool,
    version: DescriptorVersion,
    vector: Vector,
    limit: int,
) -> Near:
    """Return the keys of the `limit` objects nearest to a unit vector, with their cosines.

    `members`: the candidates are in each of them; without any, all objects are candidates. `countable`: there is one
    member, and it is searched often enough to pay for a count per minute. `vector`: float32 [dimension]. The order is
    nearest first; equal cosines keep the order of creation. The result is exact, because every candidate is compared.
    """
    probe = (PgVector(vector), version.version)
    few = False
    if members and countable:
        (only,) = members
        period = int(time.monotonic() / CENSUS_LIFETIME_S)
        count, share = _census(descriptors, only, period)
        few = count <= FEW
        is_some = share < SHARE_MIN
        is_many = not is_some or (share >= SHARE_MIN_OF_LARGE and not _fits(descriptors, period))
        if is_many and not few and count >= limit:
            proposals = max(PROPOSALS_MIN, ceil(PROPOSALS_PER_RESULT * limit / share))
            propose = descriptors.propose(descriptors.among(only))
            found = _near(propose, [*probe, proposals, *only.parameters, limit], prepare=True)
            if len(found) == limit:  # objects that were not proposed are farther than all of these
                return found
        if is_some:
            walk = descriptors.scan(descriptors.walk(only))
            return _near(walk, [*probe, *only.parameters, limit], prepare=few)
    scan = descriptors.scan("".join(map(descriptors.among, members)))
    return _near(scan, [*probe, *(value for each in members for value in each.parameters), limit], prepare=few)


def _near(statement: str, parameters: list[Any], *, prepare: bool) -> Near:
    with prepared_cursor() if prepare else planned_cursor() as cursor:
        cursor.execute(statement, parameters)
        return [(key, -distance) for key, distance in cursor.fetchall()]


@lru_cache(maxsize=4096)
def _census(descriptors: Descriptors, members: Members, _period: int) -> tuple[int, float]:
    """Return the number of candidates and their approximate share of all descriptors, counted once per period.

    The estimate selects the plan of the search, not its result.
    """
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(members=members.sql, table=descriptors.table), members.parameters)
        count, rows = cursor.fetchone()
    return count, count / max(count, rows, 1)


@lru_cache(maxsize=16)
def _fits(descriptors: Descriptors, _period: int) -> bool:
    """Return whether PostgreSQL can keep the whole table in its memory."""
    with connection.cursor() as cursor:
        cursor.execute(FITS.format(table=descriptors.table))
        return bool(cursor.fetchone()[0])
