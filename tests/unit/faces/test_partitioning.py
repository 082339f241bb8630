"""Partitions of descriptors: searches, services and the log of changes work as with one table."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.common.descriptors import Descriptor, Vector
from apps.common.scope import Scope
from apps.faces.models import Face, FaceDescriptor
from apps.faces.nearest import faces_nearest
from apps.faces.partitioning import parts_count
from apps.faces.services import face_attribute_set, face_create, face_delete, list_create
from apps.faces.types import AttributeData, FaceDraft
from tests.factories import make_account, make_version, unit_vectors

VERSION, DIMENSION = 9811, 16


def shape() -> dict[str, list[tuple[object, ...]]]:
    """What the rest of the platform relies on."""
    statements = {
        "columns": "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attstorage FROM "
        "pg_attribute WHERE attrelid = 'faces_facedescriptor'::regclass AND attnum > 0",
        "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'p' AND "
        "conrelid = 'faces_facedescriptor'::regclass ORDER BY conname",
        "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND "
        "tgrelid = 'faces_facedescriptor'::regclass ORDER BY tgname",
    }
    found = {}
    with connection.cursor() as cursor:
        for name, statement in statements.items():
            cursor.execute(statement)
            found[name] = cursor.fetchall()
    return found


def changes_logged() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM faces_descriptorchange")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
def test_descriptors_in_partitions() -> None:
    version = make_version(VERSION, DIMENSION)
    account_id, vectors = make_account().account_id, unit_vectors(40, DIMENSION)
    lists = [list_create(account_id=account_id).list_id]

    def data(vector: Vector) -> AttributeData:
        return AttributeData((Descriptor(VERSION, vector),))

    def make(vector: Vector) -> Face:
        return face_create(account_id=account_id, draft=FaceDraft(attribute=data(vector), lists=lists))

    def nearest(vector: Vector) -> int:
        filters = {"list_id": lists[0]}
        found = faces_nearest(scope=Scope(account_id), filters=filters, version=version, vector=vector, limit=5)
        assert len(found) == 5
        return found[0][0]

    faces, before = [make(each) for each in vectors[:30]], shape()
    call_command("partition_descriptors", "4")
    assert (parts_count(), shape()) == (4, before)
    with pytest.raises(CommandError, match="has partitions already"):
        call_command("partition_descriptors", "4")
    faces += [make(each) for each in vectors[30:]]
    assert FaceDescriptor.objects.values("pk").distinct().count() == 40
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT tableoid) FROM faces_facedescriptor")
        assert cursor.fetchone() == (4,)
    assert [nearest(each) for each in vectors] == [face.pk for face in faces]
    logged = changes_logged()
    face_attribute_set(account_id=account_id, face_id=faces[0].face_id, attribute=data(vectors[1]))
    assert changes_logged() > logged
    face_delete(account_id=account_id, face_id=faces[1].face_id)
    assert nearest(vectors[1]) == faces[0].pk


@pytest.mark.django_db
@pytest.mark.parametrize("parts", ["1", "1025"])
def test_invalid_numbers_of_partitions(parts: str) -> None:
    with pytest.raises(CommandError, match="must be 2 to 1024"):
        call_command("partition_descriptors", parts)
    assert parts_count() == 0
