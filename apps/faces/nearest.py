"""Search of the faces nearest to a vector with hand-written SQL, because it is the platform's most frequent search.

The ORM's work (building and compiling the query, second and third queries for rows and lists) took longer than the scan
in PostgreSQL. The join with the candidates takes longer than the comparison. The search therefore avoids it for lists:

- If a list is a large share of all faces, the search compares all faces, and checks only the nearest ones for being
  candidates.
- Otherwise it passes the keys of the list as one array. PostgreSQL then walks the index of descriptors once, in the
  order of keys, instead of descending it for each face: half of the time of a join at 10 % of 100,000 faces.
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

# No cast to the version's dimension: it costs 2 % of a scan and serves only vector indexes, which are not exact.
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
SHARE_MIN = 0.5  # minimum share of candidates; below it the join is faster than comparing all faces
PROPOSALS_PER_RESULT = 4  # at least half of the proposals are candidates, so these are nearly always enough
PROPOSALS_MIN = 64
CENSUS_LIFETIME_S = 60
FEW = 1000  # up to this number of candidates planning takes longer than execution, and any plan is fast


HashableFilters = tuple[tuple[str, Any], ...]


Near = list[tuple[int, float]]  # database keys of faces, and cosines


@dataclass(frozen=True, slots=True)
class Members:
    """Sub-select of the keys of candidates."""

    sql: str
    parameters: tuple[Any, ...]

    @property
    def condition(self) -> str:
        return f" AND d.face_id IN ({self.sql})"

    @property
    def walk(self) -> str:
        """Return the condition for a walk through the index: the keys as one array."""
        return f" AND d.face_id = ANY(ARRAY({self.sql}))"


def faces_nearest(*, scope: Scope, filters: Filters, version: DescriptorVersion, vector: Vector, limit: int) -> Near:
    """Return the keys of the `limit` faces nearest to a unit vector that pass the filters, with their cosines.

    `vector`: float32 [dimension]. The order is nearest first; equal cosines keep the order of creation. The result is
    exact, because every candidate is compared.
    """
    try:
        members = members_of(scope=scope, filters=filters)
    except EmptyResultSet:  # an empty list of ids matches no face
        return []
    probe = (PgVector(vector), version.version)
    few = False
    if members and not filters.keys() - {"list_id"}:  # other filters rarely repeat, so a count does not pay off
        count, share = _census(members[0], int(time.monotonic() / CENSUS_LIFETIME_S))
        few = count <= FEW
        if share < SHARE_MIN:
            return _near(SCAN.format(members=members[0].walk), [*probe, *members[0].parameters, limit], prepare=few)
        if not few and count >= limit:
            proposals = max(PROPOSALS_MIN, PROPOSALS_PER_RESULT * limit)
            scan = SCAN.format(members="")
            nearest = PROPOSE.format(scan=scan, members=members[0].condition)
            found = _near(nearest, [*probe, proposals, *members[0].parameters, limit], prepare=True)
            if len(found) == limit:  # faces that were not proposed are farther than all of these
                return found
    scan = SCAN.format(members="".join(each.condition for each in members))
    return _near(scan, [*probe, *(value for each in members for value in each.parameters), limit], prepare=few)


def _near(statement: str, parameters: list[Any], *, prepare: bool = False) -> Near:
    with prepared_cursor() if prepare else planned_cursor() as cursor:
        cursor.execute(statement, parameters)
        return [(key, -distance) for key, distance in cursor.fetchall()]


def members_of(*, scope: Scope, filters: Filters) -> list[Members]:
    """Return the sub-selects of the filters. Raises EmptyResultSet if no face passes, whatever is stored."""
    return _members(scope, _hashable(filters))


def _hashable(filters: Filters) -> HashableFilters:
    return tuple(sorted((name, tuple(value) if isinstance(value, list) else value) for name, value in filters.items()))


@lru_cache(maxsize=256)
def _members(scope: Scope, filters: HashableFilters) -> list[Members]:
    """Return the sub-selects of the filters, none without filters. The result depends only on the arguments.

    Faces of a list belong to the list's account, so the scope applies to the list. This and conditions on the list
    alone avoid the join with the faces.
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
    """Return the number of candidates and their approximate share of all descriptors, counted once per period.

    The estimate selects the plan of the search, not its result.
    """
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(members=members.sql), members.parameters)
        count, rows = cursor.fetchone()
    return count, count / max(count, rows, 1)
