"""Search of the faces nearest to a vector: the candidates as sub-selects of keys."""

from functools import lru_cache
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.filters import Filters
from apps.common.nearest import Descriptors, Members, Near, nearest
from apps.common.scope import Scope
from apps.faces.selectors import faces_filter

DESCRIPTORS = Descriptors(table="faces_facedescriptor", owner="face_id")
IN_LIST = (
    "SELECT x.face_id FROM faces_listface x JOIN faces_list l ON l.id = x.list_id "
    "WHERE l.list_id = %s AND (%s::uuid IS NULL OR l.account_id = %s)"
)
HashableFilters = tuple[tuple[str, Any], ...]


def faces_nearest(*, scope: Scope, filters: Filters, version: DescriptorVersion, vector: Vector, limit: int) -> Near:
    """Return the keys of the `limit` faces nearest to a unit vector that pass the filters, with their cosines.

    `vector`: float32 [dimension]. The order is nearest first; equal cosines keep the order of creation. The result is
    exact, because every candidate is compared.
    """
    try:
        members = members_of(scope=scope, filters=filters)
    except EmptyResultSet:  # an empty list of ids matches no face
        return []
    countable = not filters.keys() - {"list_id"}  # other filters rarely repeat, so a count does not pay off
    return nearest(DESCRIPTORS, members=members, countable=countable, version=version, vector=vector, limit=limit)


def members_of(*, scope: Scope, filters: Filters) -> list[Members]:
    """Return the sub-selects of the filters. Raises EmptyResultSet if no face passes, whatever is stored."""
    return _members(scope, _hashable(filters))


def members_of_list(*, scope: Scope, list_id: UUID) -> Members:
    """Return the faces of a list in the scope."""
    return Members(IN_LIST, (list_id, scope.account_id, scope.account_id))


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
        members.append(members_of_list(scope=scope, list_id=list_id))
    if others or (list_id is None and scope.account_id is not None):
        members.append(Members.of(faces_filter(scope=scope, filters=others)))
    return members
