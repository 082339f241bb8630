"""Locks of object ids that clients choose: one writer at a time.

The platform's own ids are written once. A chosen id may be written concurrently, or again while the files of a deleted
object of the same id are being removed. Writing and removing such files therefore requires the lock of the id.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from uuid import UUID

from django.db import transaction

from apps.common.locks import advisory_lock
from apps.imagestore import files
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject

Key = tuple[str, UUID, str]  # bucket, id, content type


def id_lock(*, bucket: str, object_id: UUID, wait: bool = False) -> AbstractContextManager[bool]:
    """Try to lock an id; yields whether it is locked. With `wait`, block until it is."""
    return advisory_lock(f"{bucket}/{object_id}", wait=wait)


def remove_on_commit(keys: Sequence[Key]) -> None:
    """Remove the files after the commit that deletes their rows. A failure is logged, and `fsck` finds the files."""
    # A lambda, because Django logs the __qualname__ of a failed hook, which a partial lacks.
    transaction.on_commit(lambda: remove_gone(keys), robust=True)


def remove_gone(keys: Sequence[Key]) -> None:
    """Remove files of deleted rows, except for a chosen id that was stored again. Raises OSError."""
    files.remove_all([key for key in keys if key[0] in Bucket.values])
    for bucket, object_id, content_type in keys:
        if bucket not in Bucket.values:
            with id_lock(bucket=bucket, object_id=object_id, wait=True):
                if not StoredObject.objects.unscoped().filter(bucket=bucket, object_id=object_id).exists():
                    files.remove(bucket, object_id, content_type)
