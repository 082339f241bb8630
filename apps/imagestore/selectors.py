"""Reading the Image Store's rows. What has expired is gone, also before the clean-up takes its bytes."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.imagestore.choices import holds_pictures
from apps.imagestore.models import StoredObject


def not_found(bucket: str, object_id: object) -> LunaError:
    """13003 for pictures, 13007 for everything else."""
    return LunaError(13003 if holds_pictures(bucket) else 13007, object_id)


def objects_live(*, scope: Scope, bucket: str) -> QuerySet[StoredObject]:
    """Rows of `bucket` that have not expired."""
    alive = Q(expiry_time__isnull=True) | Q(expiry_time__gt=utc_now())
    rows: QuerySet[StoredObject] = StoredObject.objects.for_scope(scope).filter(alive, bucket=bucket)
    return rows


def object_get(*, scope: Scope, bucket: str, object_id: UUID) -> StoredObject:
    """Raises LunaError 13003 or 13007 for one that is not there or not in the scope."""
    row = objects_live(scope=scope, bucket=bucket).filter(object_id=object_id).first()
    if row is None:
        raise not_found(bucket, object_id)
    return row


def objects_get(*, scope: Scope, bucket: str, object_ids: Sequence[UUID]) -> dict[UUID, StoredObject]:
    """Those of `object_ids` that are there, by id."""
    return {row.object_id: row for row in objects_live(scope=scope, bucket=bucket).filter(object_id__in=object_ids)}


def bucket_hold(*, name: str) -> None:
    """Keeps a bucket from being deleted until the transaction ends. Raises LunaError 13005."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM imagestore_storedbucket WHERE name = %s FOR KEY SHARE", [name])
        if cursor.fetchone() is None:
            raise LunaError(13005, name)
