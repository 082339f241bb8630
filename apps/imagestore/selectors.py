"""Reads of the Image Store's rows. Expired objects are hidden, even before the clean-up removes them."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.imagestore.choices import holds_pictures
from apps.imagestore.models import StoredObject


def not_found(bucket: str, object_id: object) -> LunaError:
    """Return IMAGE_NOT_FOUND for pictures, OBJECT_NOT_FOUND for other objects."""
    return LunaError(errors.IMAGE_NOT_FOUND if holds_pictures(bucket) else errors.OBJECT_NOT_FOUND, object_id)


def objects_live(*, scope: Scope, bucket: str) -> QuerySet[StoredObject]:
    """Return the rows of `bucket` that have not expired."""
    alive = Q(expiry_time__isnull=True) | Q(expiry_time__gt=utc_now())
    rows: QuerySet[StoredObject] = StoredObject.objects.for_scope(scope).filter(alive, bucket=bucket)
    return rows


def object_get(*, scope: Scope, bucket: str, object_id: UUID) -> StoredObject:
    """Return an object in the scope. Raises LunaError IMAGE_NOT_FOUND/OBJECT_NOT_FOUND."""
    row = objects_live(scope=scope, bucket=bucket).filter(object_id=object_id).first()
    if row is None:
        raise not_found(bucket, object_id)
    return row


def objects_get(*, scope: Scope, bucket: str, object_ids: Sequence[UUID]) -> dict[UUID, StoredObject]:
    """Return the existing objects of `object_ids`, by id."""
    return {row.object_id: row for row in objects_live(scope=scope, bucket=bucket).filter(object_id__in=object_ids)}


def bucket_hold(*, name: str) -> None:
    """Prevent the deletion of a bucket until the transaction ends. Raises LunaError BUCKET_NOT_FOUND."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM imagestore_storedbucket WHERE name = %s FOR KEY SHARE", [name])
        if cursor.fetchone() is None:
            raise LunaError(errors.BUCKET_NOT_FOUND, name)
