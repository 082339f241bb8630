"""Writes to the Image Store.

The file is written, synced and renamed before its row is committed. Deletion removes the row in the transaction and the
file after the commit. A crash in between can leave a file without a row, which `manage.py fsck` removes, but never a
row without a file.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.core.files.base import File
from django.db import DEFAULT_DB_ALIAS, IntegrityError, InterfaceError, OperationalError, transaction

from apps.accounts.audit import AUDIT_INSERT, audit_owned, audit_set, audit_values
from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.integrity import is_taken
from apps.common.prepared import prepared_cursor
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.imagestore import files
from apps.imagestore.choices import Bucket, audit_type, bucket_of, holds_pictures
from apps.imagestore.config import ImageStore
from apps.imagestore.failures import FAILURES, storage_errors
from apps.imagestore.id_locks import id_lock, remove_on_commit
from apps.imagestore.metadata import metadata_strip
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import bucket_hold, not_found, object_get, objects_get
from apps.imagestore.types import KEEP, TTL_DAYS, NewObject, Readable

COLUMNS = (
    "account_id",
    "bucket",
    "object_id",
    "content_type",
    "size_bytes",
    "sha256",
    "meta",
    "create_time",
    "ttl_days",
)
# Hand-written SQL: each sample waits for it, and the ORM takes longer to build its statements than PostgreSQL to run
# them. An object's own time to live has precedence over its bucket's.
INSERT = f"""
INSERT INTO imagestore_storedobject ({", ".join(COLUMNS)}, expiry_time)
SELECT {", ".join(f"given.{name}" for name in COLUMNS)},
    given.create_time + make_interval(days => nullif(coalesce(given.ttl_days, b.ttl_days)::int, {KEEP}))
FROM json_populate_recordset(NULL::imagestore_storedobject, %s) AS given
LEFT JOIN imagestore_storedbucket b ON b.name = split_part(given.bucket, '/', 1)
RETURNING bucket, object_id, id, expiry_time
"""  # noqa: S608 (names of our own columns)
FIELDS = [field.attname for field in StoredObject._meta.concrete_fields]
# Reads an object and writes the audit line in one statement, so that no bytes are sent without the line.
VIEW = f"""
WITH found AS (
    SELECT {", ".join(FIELDS)} FROM imagestore_storedobject
    WHERE bucket = %s AND object_id = %s AND (%s::uuid IS NULL OR account_id = %s::uuid)
        AND (expiry_time IS NULL OR expiry_time > %s)
), line AS ({AUDIT_INSERT}, object_id::text, account_id FROM found)
SELECT * FROM found
"""  # noqa: S608 (names of our own columns)


def object_store(
    *,
    bucket: str,
    account_id: UUID,
    data: bytes | Readable,
    content_type: str,
    object_id: UUID | None = None,
    ttl_days: int | None = None,
    meta: Mapping[str, object] | None = None,
) -> StoredObject:
    """Store bytes, or a stream that is read once in chunks.

    Raises LunaError OBJECT_EXISTS for a taken id, BUCKET_NOT_FOUND for a deleted bucket, BAD_QUERY_PARAMETERS for a
    time to live outside `TTL_DAYS`, CONTENT_TYPE_MISMATCH for a picture whose metadata cannot be removed,
    DISK_IMAGE_SAVE_FAILED/DISK_OBJECT_SAVE_FAILED when the storage fails. Nothing is stored then.
    """
    item = NewObject(
        bucket=bucket,
        account_id=account_id,
        data=data,
        content_type=content_type,
        object_id=object_id or uuid4(),
        ttl_days=ttl_days,
        meta=meta or {},
    )
    if object_id is None:
        return samples_store(items=[item])[0]
    with id_lock(bucket=bucket, object_id=object_id) as ours:
        if not ours or StoredObject.objects.unscoped().filter(bucket=bucket, object_id=object_id).exists():
            raise LunaError(errors.OBJECT_EXISTS, object_id)
        return samples_store(items=[item])[0]


def samples_store(*, items: Sequence[NewObject]) -> list[StoredObject]:
    """Store several objects under new ids with one INSERT.

    Raises the errors of `object_store`; then none is stored.
    """
    if not items:
        return []
    items = _prepared(items)
    with storage_errors(items[0].bucket, "save"):
        written = files.write_all(items)
    try:
        return [StoredObject(**row) for row in _insert(items, written)]
    except LunaError as error:
        if error.code != errors.OBJECT_EXISTS:  # the files belong to the existing row
            _remove(items)
        raise
    except (OperationalError, InterfaceError):
        raise  # the connection may have failed after the commit: existing rows need their files
    except BaseException:
        _remove(items)
        raise


@contextmanager
def samples_storing(*, items: Sequence[NewObject]) -> Iterator[None]:
    """Store several objects under new ids in the caller's transaction.

    Files are synced while the caller continues its transaction, and are durable when the context ends. Raises the
    errors of `object_store`. If it or the caller fails, the caller must remove files that may have been written.
    """
    if not items:
        yield
        return
    items = _prepared(items)
    with storage_errors(items[0].bucket, "save"):
        written, finish = files.begin_all(items)
    try:
        _insert(items, written)
        yield
    except BaseException:
        with suppress(*FAILURES):
            finish()
        raise
    with storage_errors(items[0].bucket, "save"):
        finish()


def _prepared(items: Sequence[NewObject]) -> list[NewObject]:
    """Check the objects, and return them without the metadata of pictures if the setting demands it.

    Raises LunaError BAD_QUERY_PARAMETERS for a time to live, CONTENT_TYPE_MISMATCH for a picture whose metadata cannot
    be found because it is damaged.
    """
    for item in items:
        check_ttl(item.ttl_days)
    if not config(ImageStore).strip_metadata:
        return [*items]
    return [_without_metadata(item) if holds_pictures(item.bucket) else item for item in items]


def _without_metadata(item: NewObject) -> NewObject:
    data = item.data if isinstance(item.data, bytes) else item.data.read()
    try:
        return replace(item, data=metadata_strip(data))
    except ValueError as error:
        raise LunaError(errors.CONTENT_TYPE_MISMATCH, f"its metadata cannot be removed: {error}") from error


def _insert(items: Sequence[NewObject], written: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """Insert one row per object and return the rows with all columns.

    Raises LunaError OBJECT_EXISTS for a taken id, BUCKET_NOT_FOUND for a deleted bucket.
    """
    now = utc_now()
    rows = [
        {
            "account_id": item.account_id,
            "bucket": item.bucket,
            "object_id": item.object_id,
            "content_type": item.content_type,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "meta": dict(item.meta),
            "create_time": now,
            "ttl_days": item.ttl_days,
        }
        for item, (size_bytes, sha256) in zip(items, written, strict=True)
    ]
    buckets = {bucket_of(item.bucket) for item in items} - {*Bucket.values}  # platform buckets cannot be deleted
    try:
        with transaction.atomic() if buckets else nullcontext(), prepared_cursor() as cursor:
            for name in sorted(buckets):
                bucket_hold(name=name)
            cursor.execute(INSERT, [orjson.dumps(rows).decode()])
            made = {(bucket, object_id): {"id": key, "expiry_time": end} for bucket, object_id, key, end in cursor}
    except IntegrityError as error:
        if not is_taken(error):
            raise
        raise LunaError(errors.OBJECT_EXISTS, items[0].object_id) from error
    return [row | made[row["bucket"], row["object_id"]] for row in rows]


def _remove(items: Sequence[NewObject]) -> None:
    for item in items:
        with suppress(*FAILURES):
            files.remove(item.bucket, item.object_id, item.content_type)


def object_view(*, scope: Scope, bucket: str, object_id: UUID, actor: Actor) -> StoredObject:
    """Return the row of an object that `actor` views, and write the audit line.

    Raises LunaError IMAGE_NOT_FOUND/OBJECT_NOT_FOUND.
    """
    audit = audit_values(action="view", object_type=audit_type(bucket), actor=actor)
    with prepared_cursor() as cursor:
        cursor.execute(VIEW, [bucket, object_id, scope.account_id, scope.account_id, utc_now(), *audit])
        row = cursor.fetchone()
    if row is None:
        raise not_found(bucket, object_id)
    stored: StoredObject = StoredObject.from_db(DEFAULT_DB_ALIAS, FIELDS, row)
    stored.meta = orjson.loads(row[FIELDS.index("meta")])
    return stored


def pictures_view(*, page: str, pictures: Mapping[UUID, UUID], actor: Actor) -> None:
    """Write the audit line of pictures that `page` shows together. `pictures`: their ids with their accounts."""
    if not pictures:
        return
    owners = {*pictures.values()}
    audit_set(
        action="view",
        object_type="pictures",
        object_id=page,
        members=pictures,
        account_id=owners.pop() if len(owners) == 1 else None,
        actor=actor,
    )


def object_open(*, stored: StoredObject) -> "File[bytes]":
    """Open the bytes of a row for reading; the caller closes the file.

    Raises LunaError DISK_IMAGE_READ_FAILED/DISK_OBJECT_READ_FAILED.
    """
    with storage_errors(stored.bucket, "get"):
        return files.read(stored.bucket, stored.object_id, stored.content_type)


def object_bytes(*, stored: StoredObject) -> bytes:
    """Read all bytes of a row. Raises LunaError DISK_IMAGE_READ_FAILED/DISK_OBJECT_READ_FAILED."""
    with storage_errors(stored.bucket, "get"), object_open(stored=stored) as file:
        data: bytes = file.read()
    return data


def object_delete(*, account_id: UUID, bucket: str, object_id: UUID, actor: Actor | None = None) -> None:
    """Delete an object. Raises LunaError IMAGE_NOT_FOUND/OBJECT_NOT_FOUND."""
    row = object_get(scope=Scope(account_id), bucket=bucket, object_id=object_id)
    _delete([row], actor)


def objects_delete(*, account_id: UUID, bucket: str, object_ids: Sequence[UUID], actor: Actor | None = None) -> None:
    """Delete objects. Raises LunaError OBJECTS_NOT_FOUND, and deletes none, when one does not exist."""
    rows = objects_get(scope=Scope(account_id), bucket=bucket, object_ids=object_ids)
    missing = [object_id for object_id in object_ids if object_id not in rows]
    if missing:
        raise LunaError(errors.OBJECTS_NOT_FOUND, f"objects ({missing[0]})")
    _delete(list(rows.values()), actor)


def objects_remove(*, account_id: UUID, bucket: str, object_ids: Sequence[UUID], actor: Actor | None = None) -> int:
    """Delete the existing ones of objects, and return their number."""
    rows = objects_get(scope=Scope(account_id), bucket=bucket, object_ids=object_ids)
    _delete(list(rows.values()), actor)
    return len(rows)


def _delete(rows: Sequence[StoredObject], actor: Actor | None) -> None:
    with transaction.atomic():
        objects_audit(action="delete", rows=rows, actor=actor)
        StoredObject.objects.unscoped().filter(pk__in=[row.pk for row in rows]).delete()
        remove_on_commit([(row.bucket, row.object_id, row.content_type) for row in rows])


def objects_audit(*, action: str, rows: Sequence[StoredObject], actor: Actor | None = None) -> None:
    """Write an audit line per row, with one INSERT per bucket, because ids are unique within a bucket."""
    for bucket in sorted({row.bucket for row in rows}):
        owners = {row.object_id: row.account_id for row in rows if row.bucket == bucket}
        audit_owned(action=action, object_type=audit_type(bucket), owners=owners, actor=actor)


def check_ttl(ttl_days: int | None) -> None:
    if ttl_days is not None and ttl_days != KEEP and ttl_days not in TTL_DAYS:
        raise LunaError(
            errors.BAD_QUERY_PARAMETERS,
            f"'ttl'. It must be one of {', '.join(map(str, (KEEP, *TTL_DAYS)))}, got {ttl_days}",
        )
