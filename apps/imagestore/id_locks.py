"""One writer at a time for an id that a client chose.

Ids that the platform makes are written once. A chosen one may be written by two at once, or again while the files of
its deleted namesake are being removed: whoever touches such files holds the id.
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
    """Whether this connection holds the id now; with `wait` it does."""
    return advisory_lock(f"{bucket}/{object_id}", wait=wait)


def remove_on_commit(keys: Sequence[Key]) -> None:
    """Removes the files once the rows are gone for good. Where that fails it is logged, and fsck finds them."""
    # A lambda: Django names a failing hook by its __qualname__, which a partial does not have.
    transaction.on_commit(lambda: remove_gone(keys), robust=True)


def remove_gone(keys: Sequence[Key]) -> None:
    """Removes files whose rows are gone, unless an id that may be chosen was stored anew. Raises OSError."""
    files.remove_all([key for key in keys if key[0] in Bucket.values])
    for bucket, object_id, content_type in keys:
        if bucket not in Bucket.values:
            with id_lock(bucket=bucket, object_id=object_id, wait=True):
                if not StoredObject.objects.unscoped().filter(bucket=bucket, object_id=object_id).exists():
                    files.remove(bucket, object_id, content_type)
