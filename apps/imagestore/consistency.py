"""Consistency checks of rows and files, for `manage.py fsck`."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import orjson
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from apps.common.fields import parse_uuid
from apps.common.holdings import Fault
from apps.common.times import utc_now
from apps.imagestore import files
from apps.imagestore.choices import folders_of
from apps.imagestore.models import StoredObject
from apps.imagestore.types import NewObject

MIN_AGE = timedelta(hours=1)  # a younger file without a row may belong to a store in progress
BATCH_ROWS = 1000
CHUNK_BYTES = 1024 * 1024


def rows_check(deep: bool) -> Iterator[Fault]:
    """Yield rows with a missing, truncated or changed file, and descriptions that differ from their rows."""
    last = 0
    while rows := list(StoredObject.objects.unscoped().filter(pk__gt=last).order_by("pk")[:BATCH_ROWS]):
        last = rows[-1].pk
        for row in rows:
            yield from _row_faults(row, deep)


def _row_faults(row: StoredObject, deep: bool) -> Iterator[Fault]:
    name = files.data_name(row.bucket, row.object_id, row.content_type)
    if not default_storage.exists(name):
        yield Fault("row without file", name, partial(_forget, row))
        return
    if default_storage.size(name) != row.size_bytes:
        yield Fault("file of another size", name)
    elif deep and _sha256(name) != row.sha256:
        yield Fault("file with other bytes", name)
    expected = files.description(
        NewObject(
            account_id=row.account_id, bucket=row.bucket, data=b"", content_type=row.content_type, meta=row.meta
        )
    )  # fmt: skip
    described = files.meta_name(row.bucket, row.object_id)
    if _json(described) != expected:
        yield Fault("description missing or different", described, partial(_describe, described, expected))


def _forget(row: StoredObject) -> None:
    StoredObject.objects.unscoped().filter(pk=row.pk).delete()
    files.remove(row.bucket, row.object_id, row.content_type)


def _describe(name: str, described: dict[str, object]) -> None:
    default_storage.delete(name)
    default_storage.save(name, ContentFile(orjson.dumps(described)))


def _sha256(name: str) -> str:
    digest = hashlib.sha256()
    with default_storage.open(name) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _json(name: str) -> object:
    try:
        with default_storage.open(name) as file:
            return orjson.loads(file.read())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None


def files_check(deep: bool) -> Iterator[Fault]:
    """Yield files without a row, such as those of an interrupted store."""
    for bucket in sorted(folder for root in _entries("")[0] for folder in folders_of(root)):
        for folder in sorted(_entries(bucket)[0]):
            names = sorted(_entries(f"{bucket}/{folder}")[1])
            ids = {object_id for name in names if (object_id := _object_id(name))}
            rows = StoredObject.objects.unscoped().filter(bucket=bucket, object_id__in=ids)
            known = {name for row in rows for name in _names(row)}
            for name in (f"{bucket}/{folder}/{name}" for name in names):
                if name not in known and _is_old(name):
                    yield Fault("file without row", name, partial(default_storage.delete, name))


def _entries(folder: str) -> tuple[list[str], list[str]]:
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []


def _object_id(name: str) -> UUID | None:
    return parse_uuid(name.partition(".")[0])


def _names(row: StoredObject) -> tuple[str, str]:
    return files.data_name(row.bucket, row.object_id, row.content_type), files.meta_name(row.bucket, row.object_id)


def _is_old(name: str) -> bool:
    try:
        modified: datetime = default_storage.get_modified_time(name)
    except FileNotFoundError:  # renamed or removed in between
        return False
    return modified < utc_now() - MIN_AGE
