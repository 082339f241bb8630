"""Objects that garbage collection deletes or keeps."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from apps.accounts.models import Account, AuditRecord
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.models import Face
from apps.faces.services import face_create
from apps.faces.types import FaceDraft
from apps.imagestore.models import StoredObject
from apps.tasks.types.gc import TYPE
from tests.factories import unit_vectors
from tests.tasks_run import Outcome, run_task

Configure = Callable[..., None]
VECTOR = unit_vectors(1, 4)[0]


def collect(account: Account | None, **content: Any) -> Outcome:
    return run_task(TYPE, {"target": "faces", **content}, scope=Scope(account.account_id if account else None))


def make_face(account: Account, **columns: Any) -> Face:
    return face_create(account_id=account.account_id, draft=FaceDraft(**columns))


def faces_left(account: Account) -> set[str]:
    return set(Face.objects.for_account(account.account_id).values_list("user_data", flat=True))


def events_left(account: Account) -> set[str]:
    return set(Event.objects.for_account(account.account_id).values_list("user_data", flat=True))


def objects_left() -> set[UUID]:
    return set(StoredObject.objects.unscoped().values_list("object_id", flat=True))


def deleted(object_type: str) -> set[str]:
    return set(
        AuditRecord.objects.filter(action="delete", object_type=object_type).values_list("object_id", flat=True)
    )  # fmt: skip
