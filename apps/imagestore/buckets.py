"""Buckets and their time to live, and the clean-up of expired objects."""

import logging
import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.locks import advisory_lock
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.imagestore import files
from apps.imagestore.choices import PLATFORM, Bucket, Kind, folder_of, folders_of
from apps.imagestore.failures import storage_errors
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.selectors import objects_get
from apps.imagestore.services import check_ttl, objects_audit
from apps.imagestore.types import KEEP

logger = logging.getLogger(__name__)

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)  # also valid in S3
CLEAN_UP = "image store clean-up"  # name of its lock
BATCH_ROWS = 500


def buckets_list() -> list[StoredBucket]:
    """Return all buckets by name. Platform buckets always exist; they have a row once their time to live was set."""
    rows = {bucket.name: bucket for bucket in StoredBucket.objects.all()}
    return [rows.get(name) or StoredBucket(name=name) for name in sorted({*Bucket.values, *rows})]


def bucket_get(*, name: str) -> StoredBucket:
    """Return a bucket. Raises LunaError BUCKET_NOT_FOUND."""
    bucket = StoredBucket.objects.filter(name=name).first()
    if bucket is None and name not in Bucket.values:
        raise LunaError(errors.BUCKET_NOT_FOUND, name)
    return bucket or StoredBucket(name=name)


def bucket_create(*, name: str, ttl_days: int | None = None, actor: Actor | None = None) -> StoredBucket:
    """Create a bucket.

    Raises LunaError BUCKET_CREATION_FAILED for an invalid name, BUCKET_EXISTS for a taken one, BAD_QUERY_PARAMETERS
    (`ttl`).
    """
    check_ttl(ttl_days)
    if not BUCKET_NAME.fullmatch(name) or ".." in name:
        raise LunaError(errors.BUCKET_CREATION_FAILED)
    if name in Bucket.values:
        raise LunaError(errors.BUCKET_EXISTS, name)
    try:
        with transaction.atomic():
            bucket = StoredBucket.objects.create(name=name, ttl_days=None if ttl_days == KEEP else ttl_days)
            audit_write(action="create", object_type="bucket", object_id=name, actor=actor)
    except IntegrityError as error:
        raise LunaError(errors.BUCKET_EXISTS, name) from error
    return bucket


@transaction.atomic
def bucket_ttl_set(*, name: str, ttl_days: int, actor: Actor | None = None) -> None:
    """Change the time to live of a bucket, and of its objects without an own one.

    Raises LunaError BUCKET_NOT_FOUND, BAD_QUERY_PARAMETERS (`ttl`).
    """
    check_ttl(ttl_days)
    days = None if ttl_days == KEEP else ttl_days
    bucket_get(name=name)
    StoredBucket.objects.update_or_create(name=name, defaults={"ttl_days": days})
    followers = StoredObject.objects.unscoped().filter(bucket__in=folders_of(name), ttl_days__isnull=True)
    followers.update(expiry_time=None if days is None else F("create_time") + timedelta(days=days))
    audit_write(action="update", object_type="bucket", object_id=name, actor=actor)


@transaction.atomic
def bucket_delete(*, name: str, actor: Actor | None = None) -> None:
    """Delete an empty bucket. Raises LunaError BUCKET_NOT_FOUND; ACCESS_DENIED for a platform or non-empty one."""
    if name in Bucket.values:
        raise LunaError(errors.ACCESS_DENIED)
    bucket = StoredBucket.objects.select_for_update().filter(name=name).first()  # blocks concurrent stores
    if bucket is None:
        raise LunaError(errors.BUCKET_NOT_FOUND, name)
    if StoredObject.objects.unscoped().filter(bucket__in=folders_of(name)).exists():
        raise LunaError(errors.ACCESS_DENIED)
    bucket.delete()
    audit_write(action="delete", object_type="bucket", object_id=name, actor=actor)


def folder_get(*, name: str, kind: Kind) -> str:
    """Return the folder of a kind in a bucket.

    Raises LunaError BUCKET_NOT_FOUND, and ACCESS_DENIED for platform buckets with resources and rights of their own.
    """
    bucket_get(name=name)
    if name in Bucket.values and name != PLATFORM[kind]:
        raise LunaError(errors.ACCESS_DENIED, f"bucket {name} has resources of its own")
    return folder_of(name, kind)


@transaction.atomic
def objects_ttl_set(*, account_id: UUID, bucket: str, object_ids: Sequence[UUID], ttl_days: int) -> None:
    """Set the time to live of objects, counted from their creation.

    Raises LunaError OBJECTS_NOT_FOUND, BAD_QUERY_PARAMETERS (`ttl`), S3_IMAGE_SAVE_FAILED/S3_OBJECT_SAVE_FAILED when
    S3 does not accept the new tags.
    """
    check_ttl(ttl_days)
    rows = objects_get(scope=Scope(account_id), bucket=bucket, object_ids=object_ids)
    if missing := set(object_ids) - set(rows):
        raise LunaError(errors.OBJECTS_NOT_FOUND, f"objects ({min(missing)})")
    for row in rows.values():
        row.ttl_days = ttl_days
        row.expiry_time = None if ttl_days == KEEP else row.create_time + timedelta(days=ttl_days)
    StoredObject.objects.unscoped().bulk_update(rows.values(), ("ttl_days", "expiry_time"), batch_size=BATCH_ROWS)
    if files.expires_by_itself():
        with storage_errors(bucket, "save"):
            files.expire_all([(row.bucket, row.object_id, row.content_type) for row in rows.values()], ttl_days)


def expired_delete() -> int | None:
    """Remove expired objects, files first. Return their number, or None while another process does it.

    If a file cannot be removed, its row remains, hidden from clients, for the next run. Each removed object leaves an
    audit line.
    """
    with advisory_lock(CLEAN_UP) as ours:
        if not ours:
            return None
        removed, last = 0, 0
        while rows := list(_expired().filter(pk__gt=last).order_by("pk")[:BATCH_ROWS]):
            last = rows[-1].pk
            gone = [row for row in rows if _remove_file(row)]
            with transaction.atomic():
                objects_audit(action="delete", rows=gone)
                StoredObject.objects.unscoped().filter(pk__in=[row.pk for row in gone]).delete()
            removed += len(gone)
        return removed


def _expired() -> QuerySet[StoredObject]:
    rows: QuerySet[StoredObject] = StoredObject.objects.unscoped().filter(expiry_time__lte=utc_now())
    return rows


def _remove_file(row: StoredObject) -> bool:
    try:
        with storage_errors(row.bucket, "remove"):
            files.remove(row.bucket, row.object_id, row.content_type)
    except LunaError:
        return False
    return True
