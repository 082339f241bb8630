"""One writer at a time for an id that a client chose.

Ids that the platform makes are written once. A chosen one may be written by two at once, or again while the files of
its deleted namesake are being removed: whoever touches such files holds the id.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from django.db import connection, transaction

from apps.imagestore import files
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject

Key = tuple[str, UUID, str]  # bucket, id, content type


@contextmanager
def claim(*, bucket: str, object_id: UUID, wait: bool = False) -> Iterator[bool]:
    """Whether this connection holds the id now; with `wait` it does. A dead connection holds nothing."""
    name = f"{bucket}/{object_id}"
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT true FROM pg_advisory_lock(hashtextextended(%s, 0))", [name])
        else:
            cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        (ours,) = cursor.fetchone() or (False,)
        try:
            yield ours
        finally:
            if ours:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def remove_on_commit(keys: Sequence[Key]) -> None:
    """Removes the files once the rows are gone for good. Where that fails it is logged, and fsck finds them."""
    # A lambda: Django names a failing hook by its __qualname__, which a partial does not have.
    transaction.on_commit(lambda: remove_gone(keys), robust=True)


def remove_gone(keys: Sequence[Key]) -> None:
    """Removes files whose rows are gone, unless an id that may be chosen was stored anew. Raises OSError."""
    files.remove_all([key for key in keys if key[0] in Bucket.values])
    for bucket, object_id, content_type in keys:
        if bucket not in Bucket.values:
            with claim(bucket=bucket, object_id=object_id, wait=True):
                if not StoredObject.objects.unscoped().filter(bucket=bucket, object_id=object_id).exists():
                    files.remove(bucket, object_id, content_type)
