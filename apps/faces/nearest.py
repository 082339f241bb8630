"""The faces nearest to a vector: the platform's hottest statement, so its SQL is written by hand.

Beside the scan itself the ORM's own work (building, compiling, a second look for rows, a third for lists) took longer
than PostgreSQL did.
"""

from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import EmptyResultSet
from pgvector import Vector as PgVector

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.scope import Scope
from apps.faces.models import Face
from apps.faces.selectors import faces_filter
from apps.faces.types import FaceFilters

# The column holds vectors of many dimensions; the cast to this version's is what its index would be built on.
STATEMENT = """
WITH nearest AS MATERIALIZED (
    SELECT d.face_id, d.vector::vector({dimension}) <#> %s::vector AS distance
    FROM faces_facedescriptor d
    WHERE d.version = %s{members}
    ORDER BY distance, d.face_id
    LIMIT %s
)
SELECT f.*, nearest.distance, ARRAY(
    SELECT l.list_id FROM faces_listface x JOIN faces_list l ON l.id = x.list_id WHERE x.face_id = f.id ORDER BY x.id
) AS list_ids
FROM nearest JOIN faces_face f ON f.id = nearest.face_id
ORDER BY nearest.distance, f.id
"""
IN_LIST = (
    "SELECT x.face_id FROM faces_listface x JOIN faces_list l ON l.id = x.list_id "
    "WHERE l.list_id = %s AND (%s::uuid IS NULL OR l.account_id = %s)"
)


@dataclass(frozen=True, slots=True, eq=False)
class NearFace:
    """A face (its lists at hand) and the cosine between its descriptor and the vector asked about."""

    face: Face
    cosine: float


def faces_nearest(
    *, scope: Scope, filters: FaceFilters, version: DescriptorVersion, vector: Vector, limit: int
) -> list[NearFace]:
    """The `limit` faces that hold to the filters and are nearest to a unit vector, float32 [dimension]; one statement.

    Every candidate is compared: the result is exact. Faces of equal distance stand in the order of their making.
    """
    try:
        members, parameters = _members(scope, filters)
    except EmptyResultSet:  # an empty list of ids: no face holds to it
        return []
    statement = STATEMENT.format(
        dimension=version.dimension, members="".join(f" AND d.face_id IN ({member})" for member in members)
    )
    rows = Face.everything.raw(statement, [PgVector(vector).to_text(), version.version, *parameters, limit])
    return [NearFace(row, -row.distance) for row in rows]


def _members(scope: Scope, filters: FaceFilters) -> tuple[list[str], list[Any]]:
    """Sub-selects of keys of faces, and their parameters.

    Members of a list are of the list's account, so the list is scoped in their place; that and conditions on the list
    alone spare the join with the faces.
    """
    members: list[str] = []
    parameters: list[Any] = []
    if filters.list_id is not None:
        members.append(IN_LIST)
        parameters += [filters.list_id, scope.account_id, scope.account_id]
    others = replace(filters, list_id=None)
    if others != FaceFilters() or (filters.list_id is None and scope.account_id is not None):
        sql, values = faces_filter(scope=scope, filters=others).values("id").query.sql_with_params()
        members.append(sql)
        parameters += values
    return members, parameters
