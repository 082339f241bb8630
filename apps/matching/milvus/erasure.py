"""Erasure of people and accounts from Milvus.

The synchronization removes deleted faces and lists, too. Erasures remove them at once, and report them.
"""

from uuid import UUID

from apps.common.holdings import Erasure, Report, Trace
from apps.faces.models import Face
from apps.matching.milvus.store import milvus
from apps.matching.milvus.sync import is_active


def copies_erase(account_id: UUID, erasure: Erasure) -> None:
    """Delete the copies of an account's lists. Propagates the client's errors; the erasure is then repeated."""
    if not is_active():
        return
    for entry in milvus().entries():
        if UUID(entry.account_id) == account_id:
            rows = milvus().rows_count(entry)
            milvus().copy_delete(entry)
            erasure.went("vectors in Milvus", rows)


class PersonVectors:
    """Vectors of a person's faces in Milvus. If it is away, the synchronization removes them later."""

    def __init__(self) -> None:
        self.keys: dict[UUID, set[int]] = {}
        self.erased = 0

    def find(self, trace: Trace) -> None:
        if not is_active():
            return
        for account_id, ids in trace.of("face").items():
            faces = Face.objects.for_account(account_id).filter(face_id__in=ids)
            self.keys.setdefault(account_id, set()).update(faces.values_list("pk", flat=True))

    def erase(self, trace: Trace) -> None:
        """Do nothing: vectors in Milvus are no rows."""

    def clean(self, trace: Trace) -> None:
        if not self.keys:
            return
        for entry in milvus().entries():
            self.erased += milvus().faces_delete(entry, sorted(self.keys.get(UUID(entry.account_id), ())))

    def report(self) -> Report:
        return {"milvus_vectors": self.erased} if is_active() else {}
