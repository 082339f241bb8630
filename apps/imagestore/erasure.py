"""What an account leaves in the Image Store goes with it."""

from typing import Any
from uuid import UUID

from apps.accounts.erasure import account_erasing
from apps.imagestore.claims import remove_on_commit
from apps.imagestore.models import StoredObject


def files_erase(*, account_id: UUID) -> None:
    """Removes the files of all objects of an account when the transaction commits; the rows go with the account."""
    rows = StoredObject.objects.for_account(account_id).values_list("bucket", "object_id", "content_type")
    remove_on_commit(list(rows))


def on_account_erasing(sender: Any, account_id: UUID, **kwargs: Any) -> None:
    files_erase(account_id=account_id)


def connect() -> None:
    account_erasing.connect(on_account_erasing, dispatch_uid="imagestore")
