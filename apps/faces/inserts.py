"""New faces in two or three statements: enrolment and event generation wait for these, so their SQL is written by hand.

One statement makes faces, attributes and descriptors; with lists, a second takes the link keys and a third makes the
links. The ORM takes nine round trips for the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from pgvector import Vector as PgVector

from apps.common import errors
from apps.common.errors import LunaError
from apps.faces.models import Face
from apps.faces.types import AttributeData, FaceDraft

COLUMNS = ("face_id", "event_id", "external_id", "user_data", "avatar")
FACES = """
INSERT INTO faces_face
    (account_id, face_id, event_id, external_id, user_data, avatar, create_time, last_update_time)
SELECT %s, *, %s, %s FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[])
RETURNING face_id, id
"""
# Parts that make nothing take a third of the statement's time all the same: faces without attribute go alone.
DESCRIBED_FACES = f"""
WITH made AS ({FACES}), attributes AS (
    INSERT INTO faces_faceattribute
        (face_id, age, gender, ethnicity, basic_attributes_samples, descriptor_samples, attribute_id, generation,
         create_time)
    SELECT made.id, age, gender, ethnicity, basic_samples::uuid[], descriptor_samples::uuid[], attribute_id, 0, %s
    FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::int[], %s::text[], %s::text[], %s::uuid[])
        AS given(face_id, age, gender, ethnicity, basic_samples, descriptor_samples, attribute_id)
    JOIN made USING (face_id)
), descriptors AS (
    INSERT INTO faces_facedescriptor (face_id, version, vector, score, generation)
    SELECT made.id, version, vector::vector, score, 0
    FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::float8[]) AS given(face_id, version, vector, score)
    JOIN made USING (face_id)
)
SELECT face_id, id FROM made
"""  # noqa: S608 - of constants
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
    now = faces[0].create_time
    columns = ([getattr(face, name) for face in faces] for name in COLUMNS)
    statement = FACES
    parameters: list[Any] = [faces[0].account_id, now, now, *columns]
    described = [
        (face, draft.attribute, draft.attribute_id)
        for face, draft in zip(faces, drafts, strict=True)
        if draft.attribute is not None
    ]
    if described:
        statement = DESCRIBED_FACES
        parameters += [now, *_descriptions(described)]
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        keys = dict(cursor.fetchall())
    for face in faces:
        face.pk = keys[face.face_id]


def _descriptions(described: Sequence[tuple[Face, AttributeData, UUID | None]]) -> list[list[Any]]:
    """The columns of attributes and descriptors."""
    found = [(face, descriptor) for face, data, _ in described for descriptor in data.descriptors]
    return [
        [face.face_id for face, *_ in described],
        *([_basic(data, name) for _, data, _ in described] for name in ("age", "gender", "ethnicity")),
        [_array(data.basic_samples) for _, data, _ in described],
        [_array(data.descriptor_samples) for _, data, _ in described],
        [attribute_id for *_, attribute_id in described],
        [face.face_id for face, _ in found],
        [descriptor.version for _, descriptor in found],
        [PgVector(descriptor.vector).to_text() for _, descriptor in found],
        [descriptor.score for _, descriptor in found],
    ]


def _basic(data: AttributeData, name: str) -> int | None:
    value: int | None = getattr(data.basic, name, None)
    return value


def _array(ids: Sequence[UUID]) -> str:
    """A PostgreSQL array as text: an array of arrays of different lengths has no other form."""
    return "{" + ",".join(map(str, ids)) + "}"


def faces_link(account_id: UUID, members: Mapping[UUID, Sequence[Face]]) -> None:
    """Puts new faces into lists, by list id. Raises LunaError LISTS_NOT_FOUND when one is not there."""
    wanted = list(members)
    with connection.cursor() as cursor:
        cursor.execute(TAKE_KEYS, [account_id, wanted, wanted, [len(members[list_id]) for list_id in wanted]])
        taken = {list_id: (key, last) for list_id, key, last in cursor.fetchall()}
        if missing := set(wanted) - set(taken):
            raise LunaError(errors.LISTS_NOT_FOUND, min(missing))
        links = [
            (key, face.pk, last - len(members[list_id]) + place)
            for list_id, (key, last) in taken.items()
            for place, face in enumerate(members[list_id], start=1)
        ]
        cursor.execute(LINK, list(map(list, zip(*links, strict=True))))
