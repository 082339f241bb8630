"""Reads of faces and lists. Pages are ordered newest first and need a fixed number of queries."""

from collections.abc import Collection, Sequence
from functools import lru_cache, reduce
from operator import or_
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet

from apps.common import errors
from apps.common.descriptors import Vector
from apps.common.errors import LunaError
from apps.common.filters import Filters, to_q
from apps.common.paging import Page
from apps.common.prepared import PreparedQuery, prepared_rows
from apps.common.scope import Scope
from apps.faces.filters import FACE_TERMS, LIST_TERMS
from apps.faces.models import Face, FaceAttribute, FaceDescriptor, List, ListFace, ListUnlink
from apps.faces.types import FaceRow, ListRow

# Hand-written SQL, because every matched face and every page of a list needs these statements.
MEMBERS = FaceRow._fields
LISTS = """ARRAY(
    SELECT l.list_id FROM faces_listface x JOIN faces_list l ON l.id = x.list_id WHERE x.face_id = f.id ORDER BY x.id
)"""
SELECT = "SELECT {} FROM faces_face f WHERE {} AND (%s::uuid IS NULL OR f.account_id = %s)"
IDS = frozenset({"id", "face_id"})  # read in any case


@lru_cache(maxsize=64)
def _select(condition: str, members: frozenset[str]) -> str:
    """Return the statement for faces. NULL (of `lists`: an empty array) takes the place of members outside `members`.

    Reading and showing the ids of 100 faces takes 0.5 ms of CPU, all of their members 0.9 ms.
    """
    columns = [f"f.{name}" if name in members | IDS else "NULL" for name in MEMBERS[:-1]]
    return SELECT.format(", ".join([*columns, LISTS if "lists" in members else "ARRAY[]::uuid[]"]), condition)


BY_ID = _select("f.face_id = %s", frozenset(MEMBERS))


def faces_filter(*, scope: Scope, filters: Filters) -> QuerySet[Face]:
    """Return the faces of the scope that pass all filters, unordered."""
    rows: QuerySet[Face] = Face.objects.for_scope(scope).filter(to_q(filters, FACE_TERMS))
    return rows


def faces_page(*, scope: Scope, filters: Filters, page: Page, with_lists: bool = True) -> list[FaceRow]:
    """Return a page of faces, newest first, or of a list, newest link first. `with_lists`: include ids of lists."""
    if not filters:
        return [FaceRow(*row) for row in _NEWEST_FACES.rows(page, with_lists, **_ids(scope))]
    if filters.keys() == {"list_id"}:
        return _list_page(scope, filters["list_id"], page, with_lists)
    rows = faces_filter(scope=scope, filters=filters)
    if "list_id" in filters:
        keys = rows.order_by("-links__link_key").values_list("pk", flat=True)
        return _in_order(scope, list(keys[page.slice]), with_lists)
    return _fetched(_newest(scope, rows, page, with_lists))


def _ids(scope: Scope) -> dict[str, UUID]:
    """Return the account filter of a scope for a prepared query, empty for all accounts."""
    return {} if scope.account_id is None else {"account_id": scope.account_id}


def _newest(scope: Scope, rows: QuerySet[Face], page: Page, with_lists: bool) -> "QuerySet[Face, Any]":
    newest = rows.order_by("-id")
    if page.number == 1:
        return _columns(newest, with_lists)[: page.size]
    # The page is selected in a subquery, so that lists of faces on previous pages are not read.
    cut = Face.objects.for_scope(scope).filter(pk__in=newest.values("pk")[page.slice])
    return _columns(cut.order_by("-id"), with_lists)


_NEWEST_FACES = PreparedQuery(
    lambda page, with_lists, account_id=None: _newest(
        Scope(account_id), Face.objects.for_scope(Scope(account_id)), page, with_lists
    )
)


def _list_page(scope: Scope, list_id: UUID, page: Page, with_lists: bool) -> list[FaceRow]:
    """Return a page of one list. The last page costs as much as the first, even among a million faces."""
    row = List.objects.for_scope(scope).filter(list_id=list_id).first()
    return [] if row is None else _in_order(scope, _page_keys(row, page), with_lists)


def _in_order(scope: Scope, keys: Sequence[int], with_lists: bool) -> list[FaceRow]:
    """Return the rows of keys, in the order of the keys."""
    found = faces_by_key(scope=scope, keys=keys, targets=MEMBERS if with_lists else MEMBERS[:-1])
    return [found[key] for key in keys if key in found]


def faces_by_key(*, scope: Scope, keys: Collection[int], targets: Collection[str] = ()) -> dict[int, FaceRow]:
    """Return the faces of the scope with these database keys, by key, with one statement.

    `targets`: the members to read, empty for all. Others than `id` and `face_id` are None, `lists` is empty.
    """
    if not keys:
        return {}
    statement = _select("f.id = ANY(%s::bigint[])", frozenset(targets or MEMBERS).intersection(MEMBERS))
    return {face.id: face for face in _read(statement, [list(keys), scope.account_id, scope.account_id])}


def _columns(faces: QuerySet[Face], with_lists: bool) -> "QuerySet[Face, Any]":
    if not with_lists:
        return faces.values_list(*FaceRow._fields[:-1])
    links = ListFace.objects.filter(face=OuterRef("pk")).order_by("id").values("list__list_id")
    return faces.annotate(lists=ArraySubquery(links)).values_list(*FaceRow._fields)


def _fetched(rows: "QuerySet[Face, Any]") -> list[FaceRow]:
    """Return the driver's rows directly, because Django would process each value of a page again."""
    try:
        statement, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [FaceRow(*row) for row in cursor.fetchall()]


def _read(statement: str, parameters: Sequence[Any]) -> list[FaceRow]:
    """Return the rows of a statement that is planned once per connection."""
    return [FaceRow(*row) for row in prepared_rows(statement, parameters)]


def _page_keys(row: List, page: Page) -> list[int]:
    """Return the keys of the faces on a page of a list, newest link first, from the list's link keys."""
    links = ListFace.objects.filter(list=row)
    total, start = row.link_key - row.unlink_key, page.slice.start
    count = min(page.size, total - start)
    if count <= 0:
        return []
    if row.unlink_key == 0:  # without unlinks the position of a link equals its key
        links = links.filter(link_key__lte=row.link_key - start, link_key__gt=row.link_key - start - count)
        start = 0
    if start <= total // 2:
        newest = links.order_by("-link_key").values_list("face_id", flat=True)
        return list(newest[start : start + count])
    oldest = links.order_by("link_key").values_list("face_id", flat=True)
    return list(oldest[total - start - count : total - start])[::-1]


def faces_count(*, scope: Scope, filters: Filters) -> int:
    if filters.keys() == {"list_id"}:
        row = List.objects.for_scope(scope).filter(list_id=filters["list_id"]).first()
        return row.link_key - row.unlink_key if row else 0
    return faces_filter(scope=scope, filters=filters).count()


def attributes_count(*, scope: Scope, filters: Filters) -> int:
    """Return the number of faces with an attribute."""
    return faces_filter(scope=scope, filters=filters).filter(attribute__isnull=False).count()


def described_count() -> int:
    """Count the faces with descriptors or basic attributes of all accounts, which the licence limits."""
    return FaceAttribute.objects.count()


def face_get(*, scope: Scope, face_id: UUID) -> FaceRow:
    """Return the face with its lists. Raises LunaError FACE_NOT_FOUND."""
    found = _read(BY_ID, [face_id, scope.account_id, scope.account_id])
    if not found:
        raise LunaError(errors.FACE_NOT_FOUND, face_id)
    return found[0]


def face_check(*, scope: Scope, face_id: UUID) -> None:
    """Check that a face exists. Raises LunaError FACE_NOT_FOUND."""
    if not Face.objects.for_scope(scope).filter(face_id=face_id).exists():
        raise LunaError(errors.FACE_NOT_FOUND, face_id)


def face_attribute_get(*, scope: Scope, face_id: UUID) -> FaceAttribute:
    """Return the attribute of a face, with the face loaded.

    Raises LunaError FACE_NOT_FOUND for a missing face, FACE_WITHOUT_ATTRIBUTES for a face without attribute.
    """
    face = Face.objects.for_scope(scope).select_related("attribute").filter(face_id=face_id).first()
    if face is None:
        raise LunaError(errors.FACE_NOT_FOUND, face_id)
    attribute: FaceAttribute | None = getattr(face, "attribute", None)
    if attribute is None:
        raise LunaError(errors.FACE_WITHOUT_ATTRIBUTES, face_id)
    return attribute


class FaceVector(NamedTuple):
    """A face as a reference of matching. `attributed`: it has attributes; `described`: a descriptor of any version.

    `vector` is None without a descriptor of the version.
    """

    face_id: UUID
    external_id: str
    attributed: bool
    described: bool
    vector: Vector | None


def face_vectors(*, scope: Scope, version: int, any_of: Filters, limit: int) -> list[FaceVector]:
    """Return the faces that pass any of the filters, oldest first, with their descriptors of `version`.

    At most `limit`. One query.
    """
    named = reduce(or_, (to_q({name: value}, FACE_TERMS) for name, value in any_of.items()))
    rows = (
        Face.objects.for_scope(scope)
        .filter(named)
        .annotate(
            wanted=FilteredRelation("descriptors", condition=Q(descriptors__version=version)),
            attributed=Exists(FaceAttribute.objects.filter(face=OuterRef("pk"))),
            described=Exists(FaceDescriptor.objects.filter(face=OuterRef("pk"))),
        )
        .order_by("id")
        .values_list(*FaceVector._fields[:-1], "wanted__vector")
    )
    return [
        FaceVector._make((*columns, None if vector is None else np.array(vector, np.float32)))
        for *columns, vector in rows[:limit]
    ]


def lists_filter(*, scope: Scope, filters: Filters) -> QuerySet[List]:
    """Return the lists of the scope that pass all filters, unordered."""
    rows: QuerySet[List] = List.objects.for_scope(scope).filter(to_q(filters, LIST_TERMS))
    return rows


def lists_page(*, scope: Scope, filters: Filters, page: Page) -> list[ListRow]:
    """Return a page of lists, newest first."""
    if not filters:
        return [ListRow(*row) for row in _NEWEST_LISTS.rows(page, **_ids(scope))]
    rows = lists_filter(scope=scope, filters=filters).order_by("-id")[page.slice]
    return [ListRow(*row) for row in rows.values_list(*ListRow._fields)]


_NEWEST_LISTS = PreparedQuery(
    lambda page, account_id=None: (
        List.objects.for_scope(Scope(account_id)).order_by("-id").values_list(*ListRow._fields)[page.slice]
    )
)


def lists_count(*, scope: Scope, filters: Filters) -> int:
    return lists_filter(scope=scope, filters=filters).count()


def list_sizes(*, scope: Scope, list_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the numbers of faces of lists of the scope, by id."""
    rows = List.objects.for_scope(scope).filter(list_id__in=list_ids)
    return dict(rows.values_list("list_id", F("link_key") - F("unlink_key")))


def list_get(*, scope: Scope, list_id: UUID) -> List:
    """Return a list. Raises LunaError LIST_NOT_FOUND."""
    row: List | None = List.objects.for_scope(scope).filter(list_id=list_id).first()
    if row is None:
        raise LunaError(errors.LIST_NOT_FOUND, list_id)
    return row


def list_owner(*, list_id: UUID) -> UUID | None:
    """Return the account of a list, None for an unknown one. The caller compares it with its scope."""
    owner: UUID | None = List.objects.unscoped().filter(list_id=list_id).values_list("account_id", flat=True).first()
    return owner


def links_after(*, list_id: UUID, link_key: int, limit: int) -> list[tuple[int, UUID]]:
    """Return (link key, face id) of links after `link_key`, in order, for readers that follow a list."""
    rows = ListFace.objects.filter(list__list_id=list_id, link_key__gt=link_key).order_by("link_key")
    return list(rows.values_list("link_key", "face__face_id")[:limit])


def unlinks_after(*, list_id: UUID, unlink_key: int, limit: int) -> list[tuple[int, UUID, int]]:
    """Return (unlink key, face id, ended link key) of unlinks after `unlink_key`, in order."""
    rows = ListUnlink.objects.filter(list__list_id=list_id, unlink_key__gt=unlink_key).order_by("unlink_key")
    return list(rows.values_list("unlink_key", "face_id", "link_key")[:limit])


def lists_check(*, scope: Scope, list_ids: Sequence[UUID]) -> None:
    """Check that lists exist. Raises LunaError LISTS_NOT_FOUND for a missing list."""
    known = set(List.objects.for_scope(scope).filter(list_id__in=list_ids).values_list("list_id", flat=True))
    if missing := set(list_ids) - known:
        raise LunaError(errors.LISTS_NOT_FOUND, min(missing))
