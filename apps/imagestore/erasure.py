"""What an account leaves in the Image Store goes with it."""

from typing import Any
from uuid import UUID

from apps.accounts.erasure import BATCH_ROWS, Erasure, account_erasing
from apps.imagestore import files
from apps.imagestore.failures import storage_errors
from apps.imagestore.models import StoredObject


def objects_erase(*, account_id: UUID, erasure: Erasure) -> None:
    """Removes all objects of an account, the files first: a row without its file is found again, a file without its
    row is not. Raises LunaError when the storage fails.
    """
    mine = StoredObject.objects.for_account(account_id)
    while rows := list(mine.values_list("pk", "bucket", "object_id", "content_type")[:BATCH_ROWS]):
        with storage_errors(rows[0][1], "remove"):
            files.remove_all([row[1:] for row in rows])
        StoredObject.objects.unscoped().filter(pk__in=[row[0] for row in rows]).delete()
        erasure.went(StoredObject._meta.db_table, len(rows))


def on_account_erasing(sender: Any, account_id: UUID, erasure: Erasure, **kwargs: Any) -> None:
    objects_erase(account_id=account_id, erasure=erasure)


def connect() -> None:
    account_erasing.connect(on_account_erasing, dispatch_uid="imagestore")
