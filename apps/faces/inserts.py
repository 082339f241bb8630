"""Inserts of new faces with hand-written SQL, because enrolment and event generation depend on their speed.

One statement inserts faces, attributes and descriptors. For lists a second statement reserves the link keys and a third
inserts the links. The ORM needs nine round trips for this.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import Model
from pgvector import Vector as PgVector

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.prepared import prepared_cursor
from apps.faces.models import Face, FaceAttribute
from apps.faces.types import AttributeData, BasicData, FaceDraft

COLUMNS = ", ".join(field.attname for field in Face._meta.concrete_fields if not field.primary_key)
ATTRIBUTE_COLUMNS = ", ".join(field.attname for field in FaceAttribute._meta.concrete_fields if not field.primary_key)
FACES = f"""
INSERT INTO faces_face ({COLUMNS}) SELECT {COLUMNS} FROM json_populate_recordset(NULL::faces_face, %s)
RETURNING face_id, id
"""  # noqa: S608 (names of our own columns)
# Empty parts would cost a third of the statement's time, so faces without attribute use the statement above.
DESCRIBED_FACES = f"""
WITH made AS ({FACES}), attributes AS (
    INSERT INTO faces_faceattribute (face_id, {ATTRIBUTE_COLUMNS})
    SELECT made.id, {ATTRIBUTE_COLUMNS}
    FROM json_to_recordset(%s) AS given(face uuid, attribute json), json_populate_record(
        NULL::faces_faceattribute, attribute
    ), made
    WHERE made.face_id = face
){{descriptors}}
SELECT face_id, id FROM made
"""  # noqa: S608 (names of our own columns)
DESCRIPTORS = """, descriptors AS (
    INSERT INTO faces_facedescriptor (face_id, version, vector, score, generation)
    SELECT made.id, version, vector, score, 0
    FROM (VALUES {rows}) AS given(face_id, version, vector, score) JOIN made USING (face_id)
)"""
# Parameters have binary forms: a vector of 512 numbers in JSON would double the time of the client.
DESCRIPTOR = "(%s::uuid, %s::int, %s::vector, %s::float8)"
BATCH = 1000  # faces of one statement; PostgreSQL takes 65,535 parameters
# Lists are locked in the order of their keys, as in `links`.
TAKE_KEYS = """
WITH locked AS (SELECT id FROM faces_list WHERE account_id = %s AND list_id = ANY(%s) ORDER BY id FOR UPDATE)
UPDATE faces_list SET link_key = link_key + added, last_update_time = now()
FROM locked, unnest(%s::uuid[], %s::int[]) AS given(wanted_id, added)
WHERE faces_list.id = locked.id AND list_id = wanted_id
RETURNING list_id, faces_list.id, link_key
"""
LINK = """
INSERT INTO faces_listface (list_id, face_id, link_key, link_time)
SELECT *, now() FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
"""


def faces_insert(faces: Sequence[Face], drafts: Sequence[FaceDraft]) -> None:
    """Insert faces with attributes and descriptors of their drafts, and set the keys of the faces.

    Up to `BATCH` faces take one statement, more of them need a transaction of the caller.
    """
    for start in range(0, len(faces), BATCH):
        _insert(faces[start : start + BATCH], drafts[start : start + BATCH])


def _insert(faces: Sequence[Face], drafts: Sequence[FaceDraft]) -> None:
    statement: str = FACES
    parameters: list[Any] = [_json(map(_columns, faces))]
    described = [
        (face, draft.attribute, draft.attribute_id)
        for face, draft in zip(faces, drafts, strict=True)
        if draft.attribute is not None
    ]
    if described:
        attributes = [
            {
                "face": face.face_id,
                "attribute": _columns(attribute_row(data, attribute_id, create_time=face.create_time)),
            }
            for face, data, attribute_id in described
        ]
        parameters.append(_json(attributes))
        descriptors = [(face.face_id, each) for face, data, _ in described for each in data.descriptors]
        for face_id, each in descriptors:
            parameters += (face_id, each.version, PgVector(each.vector), each.score)
        rows = ", ".join([DESCRIPTOR] * len(descriptors))
        statement = DESCRIBED_FACES.format(descriptors=DESCRIPTORS.format(rows=rows) if rows else "")
    with prepared_cursor() as cursor:
        cursor.execute(statement, parameters)
        keys = dict(cursor.fetchall())
    for face in faces:
        face.pk = keys[face.face_id]


def attribute_row(data: AttributeData, attribute_id: UUID | None, **columns: Any) -> FaceAttribute:
    """Return the unsaved row of an attribute. `columns`: columns that are not in `data`."""
    basic = data.basic or BasicData()
    return FaceAttribute(
        **asdict(basic),
        basic_attributes_samples=list(data.basic_samples),
        descriptor_samples=list(data.descriptor_samples),
        attribute_id=attribute_id,
        **columns,
    )


def _columns(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return orjson.dumps(list(rows)).decode()


class Taken(NamedTuple):
    """Database key of a list, and the last reserved link key."""

    key: int
    last: int


def faces_link(account_id: UUID, members: Mapping[UUID, Sequence[Face]]) -> None:
    """Attach new faces to lists, by list id. Raises LunaError LISTS_NOT_FOUND for a missing list."""
    wanted = list(members)
    with connection.cursor() as cursor:
        cursor.execute(TAKE_KEYS, [account_id, wanted, wanted, [len(members[list_id]) for list_id in wanted]])
        taken = {list_id: Taken(key, last) for list_id, key, last in cursor.fetchall()}
        if missing := set(wanted) - set(taken):
            raise LunaError(errors.LISTS_NOT_FOUND, min(missing))
        # A face shows its lists in the given order, which differs from the order of the statement's rows.
        links = [
            (taken[list_id].key, face.pk, taken[list_id].last - len(faces) + place)
            for list_id, faces in members.items()
            for place, face in enumerate(faces, start=1)
        ]
    links_insert(links)


def links_insert(links: Sequence[tuple[int, int, int]]) -> None:
    """Insert links: keys of list and face, and the link key."""
    with connection.cursor() as cursor:
        cursor.execute(LINK, list(map(list, zip(*links, strict=True))))
