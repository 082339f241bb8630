"""The faces nearest to a vector: the platform's hottest statement, so its SQL is written by hand.

Beside the scan itself the ORM's own work (building, compiling, a second look for rows, a third for lists) took longer
than PostgreSQL did. The join that finds out who is a candidate takes twice the time of comparing, so where candidates
are a large part of all faces, all are compared and only the nearest are asked whether they are candidates.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from pgvector import Vector as PgVector

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.filters import Filters
from apps.common.prepared import planned_cursor, prepared_cursor
from apps.common.scope import Scope
from apps.faces.selectors import faces_filter

# Without a cast to the version's dimension: it costs 2 % of a scan, and an index of vectors, which it would be for, is
# not exact.
SCAN = """
    SELECT d.face_id, d.vector <#> %s::vector AS distance
    FROM faces_facedescriptor d
    WHERE d.version = %s{members}
    ORDER BY distance, d.face_id
    LIMIT %s
"""
PROPOSE = """
    SELECT d.face_id, d.distance FROM ({scan}) d WHERE true{members} ORDER BY d.distance, d.face_id LIMIT %s
"""
IN_LIST = (
    "SELECT x.face_id FROM faces_listface x JOIN faces_list l ON l.id = x.list_id "
    "WHERE l.list_id = %s AND (%s::uuid IS NULL OR l.account_id = %s)"
)
COUNT = """
SELECT (SELECT count(*) FROM ({members}) members),
       (SELECT reltuples FROM pg_class WHERE oid = 'faces_facedescriptor'::regclass)
"""
SHARE_MIN = 0.5  # below, comparing all costs more than the join
PROPOSALS_PER_RESULT = 4  # one in two proposals is a candidate: enough of them, nearly always
PROPOSALS_MIN = 64
CENSUS_LIFETIME_S = 60
FEW = 1000  # up to so many candidates a plan takes longer to make than to run, and any plan will do


HashableFilters = tuple[tuple[str, Any], ...]


Near = list[tuple[int, float]]  # keys of faces inside the database, and cosines


@dataclass(frozen=True, slots=True)
class Members:
    """A sub-select of keys of faces: who is a candidate."""

    sql: str
    parameters: tuple[Any, ...]

    @property
    def condition(self) -> str:
        return f" AND d.face_id IN ({self.sql})"


def faces_nearest(*, scope: Scope, filters: Filters, version: DescriptorVersion, vector: Vector, limit: int) -> Near:
    """Return the keys of the `limit` faces that pass the filters and are nearest to a unit vector, with their cosines.

    `vector`: float32 [dimension]. Nearest first, equal ones in the order in which they were made. Every candidate is
    compared: the result is exact.
    """
    try:
        members = _members(scope, _hashable(filters))
    except EmptyResultSet:  # an empty list of ids: no face holds to it
        return []
    probe = (PgVector(vector), version.version)
    few = False
    if members and not filters.keys() - {"list_id"}:  # others come once and are not worth counting
        count, share = _census(members[0], int(time.monotonic() / CENSUS_LIFETIME_S))
        few = count <= FEW
        if not few and count >= limit and share >= SHARE_MIN:
            proposals = max(PROPOSALS_MIN, PROPOSALS_PER_RESULT * limit)
            scan = SCAN.format(members="")
            nearest = PROPOSE.format(scan=scan, members=members[0].condition)
            found = _near(nearest, [*probe, proposals, *members[0].parameters, limit], prepare=True)
            if len(found) == limit:  # who was not proposed is farther than all of these
                return found
    scan = SCAN.format(members="".join(each.condition for each in members))
    return _near(scan, [*probe, *(value for each in members for value in each.parameters), limit], prepare=few)


def _near(statement: str, parameters: list[Any], *, prepare: bool = False) -> Near:
    with prepared_cursor() if prepare else planned_cursor() as cursor:
        cursor.execute(statement, parameters)
        return [(key, -distance) for key, distance in cursor.fetchall()]


def _hashable(filters: Filters) -> HashableFilters:
    return tuple(sorted((name, tuple(value) if isinstance(value, list) else value) for name, value in filters.items()))


@lru_cache(maxsize=256)
def _members(scope: Scope, filters: HashableFilters) -> list[Members]:
    """Who holds to the filters: no sub-select for everybody. Depends on the arguments alone, not on rows.

    Members of a list are of the list's account, so the list is scoped in their place; that and conditions on the list
    alone spare the join with the faces.
    """
    members = []
    others = dict(filters)
    list_id = others.pop("list_id", None)
    if list_id is not None:
        members.append(Members(IN_LIST, (list_id, scope.account_id, scope.account_id)))
    if others or (list_id is None and scope.account_id is not None):
        sql, parameters = faces_filter(scope=scope, filters=others).values("id").query.sql_with_params()
        members.append(Members(sql, parameters))
    return members


@lru_cache(maxsize=4096)
def _census(members: Members, _period: int) -> tuple[int, float]:
    """How many there are, and which part of all descriptors is theirs, about; counted anew in every period.

    A guess: it decides how candidates are found, not which.
    """
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(members=members.sql), members.parameters)
        count, rows = cursor.fetchone()
    return count, count / max(count, rows, 1)
