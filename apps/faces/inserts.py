"""New faces in two or three statements: enrolment and event generation wait for these, so their SQL is written by hand.

One statement makes faces, attributes and descriptors; with lists, a second takes the link keys and a third makes the
links. The ORM takes nine round trips for the same.
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
# Parts that make nothing take a third of the statement's time all the same: faces without attribute go alone.
DESCRIBED_FACES = f"""
WITH made AS ({FACES}), attributes AS (
    INSERT INTO faces_faceattribute (face_id, {ATTRIBUTE_COLUMNS})
    SELECT made.id, {ATTRIBUTE_COLUMNS}
    FROM json_to_recordset(%s) AS given(face uuid, attribute json), json_populate_record(
        NULL::faces_faceattribute, attribute
    ), made
    WHERE made.face_id = face
), descriptors AS (
    INSERT INTO faces_facedescriptor (face_id, version, vector, score, generation)
    SELECT made.id, version, vector::vector, score, 0
    FROM json_to_recordset(%s) AS given(face_id uuid, version int, vector text, score float8) JOIN made USING (face_id)
)
SELECT face_id, id FROM made
"""  # noqa: S608 (names of our own columns)
# Lists are locked in the order of their keys, as everywhere (see `links`).
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
    """Inserts faces with what their drafts know of them, and gives the faces their keys."""
    statement, parameters = FACES, [_json(map(_columns, faces))]
    described = [
        (face, draft.attribute, draft.attribute_id)
        for face, draft in zip(faces, drafts, strict=True)
        if draft.attribute is not None
    ]
    if described:
        statement = DESCRIBED_FACES
        attributes = [
            {
                "face": face.face_id,
                "attribute": _columns(attribute_row(data, attribute_id, create_time=face.create_time)),
            }
            for face, data, attribute_id in described
        ]
        descriptors = [
            {
                "face_id": face.face_id,
                "version": each.version,
                "vector": PgVector(each.vector).to_text(),
                "score": each.score,
            }
            for face, data, _ in described
            for each in data.descriptors
        ]
        parameters += [_json(attributes), _json(descriptors)]
    with prepared_cursor() as cursor:
        cursor.execute(statement, parameters)
        keys = dict(cursor.fetchall())
    for face in faces:
        face.pk = keys[face.face_id]


def attribute_row(data: AttributeData, attribute_id: UUID | None, **columns: Any) -> FaceAttribute:
    """Return the row of an attribute, not yet stored; `columns` are those that `data` does not know."""
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
    """A list's key inside the database, and the last of the link keys taken for new links."""

    key: int
    last: int


def faces_link(account_id: UUID, members: Mapping[UUID, Sequence[Face]]) -> None:
    """Puts new faces into lists, by list id. Raises LunaError LISTS_NOT_FOUND when one is not there."""
    wanted = list(members)
    with connection.cursor() as cursor:
        cursor.execute(TAKE_KEYS, [account_id, wanted, wanted, [len(members[list_id]) for list_id in wanted]])
        taken = {list_id: Taken(key, last) for list_id, key, last in cursor.fetchall()}
        if missing := set(wanted) - set(taken):
            raise LunaError(errors.LISTS_NOT_FOUND, min(missing))
        # In the order of the lists as given, in which a face shows them, not in that of the statement's answer.
        links = [
            (taken[list_id].key, face.pk, taken[list_id].last - len(faces) + place)
            for list_id, faces in members.items()
            for place, face in enumerate(faces, start=1)
        ]
        cursor.execute(LINK, list(map(list, zip(*links, strict=True))))
