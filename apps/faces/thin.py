"""Thin table of faces: their descriptors with the filters that searches use."""

from django.core.exceptions import EmptyResultSet

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.filters import Filters, to_q
from apps.common.nearest import Members, Near
from apps.common.scope import Scope
from apps.common.thin import ThinTable
from apps.faces.filters import FACE_TERMS
from apps.faces.models import ThinFace
from apps.faces.nearest import DESCRIPTORS, members_of_list

OWN = ("id", "face_key", "version", "vector")
THIN_FACES = ThinTable(
    name="faces",
    thin=ThinFace._meta.db_table,
    key="face_key",
    source=DESCRIPTORS,
    objects="faces_face",
    columns=tuple(field.attname for field in ThinFace._meta.fields if field.name not in OWN),
)


def thin_faces_cover(filters: Filters) -> bool:
    """Return whether there are filters beside the list, and the thin table has the columns of all.

    The members of a list alone are found by its links in any case.
    """
    others = {name: value for name, value in filters.items() if name != "list_id"}
    return bool(others) and THIN_FACES.covers(others, FACE_TERMS)


def thin_faces_nearest(
    *, scope: Scope, filters: Filters, version: DescriptorVersion, vector: Vector, limit: int
) -> Near:
    """Return what `faces_nearest` returns, for filters that `thin_faces_cover` accepts.

    Raises ThinTableError if the table cannot be used.
    """
    try:
        members = _members(scope, filters, version)
    except EmptyResultSet:  # an empty list of ids matches no face
        return []
    return THIN_FACES.nearest(members=members, version=version, vector=vector, limit=limit)


def _members(scope: Scope, filters: Filters, version: DescriptorVersion) -> Members:
    """Return the faces that pass the filters. The scope applies to the list, if the filters name one."""
    others = dict(filters)
    linked = members_of_list(scope=scope, list_id=others.pop("list_id")) if "list_id" in others else None
    rows = ThinFace.objects.for_scope(scope).filter(to_q(others, FACE_TERMS), version=version.version)
    sql, parameters = rows.values("face_key").query.sql_with_params()
    if linked is None:
        return Members(sql, parameters)
    return Members(f"{sql} INTERSECT {linked.sql}", (*parameters, *linked.parameters))
