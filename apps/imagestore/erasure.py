"""Erasure of an account's or a person's objects in the Image Store."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

from django.db.models import Count, Q, Sum

from apps.accounts.erasure import BATCH_ROWS
from apps.common.holdings import Erasure, Reference, Report, Trace
from apps.common.rows import COUNTED_ROWS
from apps.imagestore import files
from apps.imagestore.addresses import object_of_address
from apps.imagestore.failures import FAILURES, storage_errors
from apps.imagestore.id_locks import remove_gone
from apps.imagestore.models import StoredObject
from apps.imagestore.services import objects_audit


def objects_erase(account_id: UUID, erasure: Erasure) -> None:
    """Remove all objects of an account.

    Files go first: after a crash, the rows that remain lead to the rest. Raises LunaError when the storage fails.
    """
    mine = StoredObject.objects.for_account(account_id)
    while rows := list(mine.values_list("pk", "bucket", "object_id", "content_type")[:BATCH_ROWS]):
        with storage_errors(rows[0][1], "remove"):
            files.remove_all([row[1:] for row in rows])
        StoredObject.objects.unscoped().filter(pk__in=[row[0] for row in rows]).delete()
        erasure.went(StoredObject._meta.db_table, len(rows))


def bytes_count(account_id: UUID) -> dict[str, int]:
    """Return the size of an account's files; nothing for more than `COUNTED_ROWS`, whose sum would take too long."""
    rows = StoredObject.objects.for_account(account_id).values("size_bytes")[: COUNTED_ROWS + 1]
    found = rows.aggregate(size=Sum("size_bytes"), files=Count("size_bytes"))
    return {} if found["files"] > COUNTED_ROWS else {"bytes of files": found["size"] or 0}


def object_reference(account_id: UUID, bucket: str, object_id: UUID) -> Reference:
    return Reference("object", account_id, f"{bucket}/{object_id}")


def reference_of_address(account_id: UUID, address: str | None) -> Iterator[Reference]:
    """Yield the object at a URL or path of this platform; nothing for other addresses."""
    if found := object_of_address(address or "", behind_host=True):
        yield object_reference(account_id, *found)


class PersonObjects:
    """Erases samples and images that other rooms refer to, within the account of the referring object."""

    def __init__(self) -> None:
        self.rows: list[StoredObject] = []
        self.cleaned = False

    def find(self, trace: Trace) -> None:
        wanted = Q(pk__in=())
        for account_id, keys in trace.of("object").items():
            for bucket, _, object_id in (key.rpartition("/") for key in keys):
                wanted |= Q(account_id=account_id, bucket=bucket, object_id=object_id)
        self.rows = list(StoredObject.objects.unscoped().filter(wanted))
        trace.held |= {object_reference(row.account_id, row.bucket, row.object_id) for row in self.rows}

    def erase(self, trace: Trace) -> None:
        objects_audit(action="erase", rows=self.rows, actor=trace.actor)
        StoredObject.objects.unscoped().filter(pk__in=[row.pk for row in self.rows]).delete()

    def clean(self, trace: Trace) -> None:
        self.cleaned = True
        for row in self.rows:
            with suppress(*FAILURES):  # the receipt names the remaining files
                remove_gone([(row.bucket, row.object_id, row.content_type)])

    def report(self) -> Report:
        """Return the object names; `files_left` are files that could not be removed, or whose state is unknown."""
        names = [_names(row) for row in self.rows]
        left = [name for pair in names for name in pair if self.cleaned and _may_be_left(name)]
        return {"objects": sorted(data for data, _ in names), "files_left": sorted(left)}


def _names(row: StoredObject) -> tuple[str, str]:
    return files.data_name(row.bucket, row.object_id, row.content_type), files.meta_name(row.bucket, row.object_id)


def _may_be_left(name: str) -> bool:
    try:
        return files.exists(name)
    except FAILURES:  # state unknown
        return True
