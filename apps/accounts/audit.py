"""The audit log of biometric reads, deletions and administrative changes.

Services write the lines in their own transactions. The view, admin page or command passes the actor to them. A deletion
or biometric read leaves one line per object. The pictures of a list in the admin site leave one line together, which
names them all. Services that process many objects document their lines.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.accounts.auth.principal import Actor
from apps.accounts.models import AuditRecord
from apps.common.prepared import prepared_cursor
from apps.common.request_id import current_request_id
from apps.common.times import utc_now

# Hand-written SQL: each read of a sample waits for its line, and the ORM takes longer to build the statement than
# PostgreSQL to run it. Callers append the object's id and account.
AUDIT_INSERT = """
INSERT INTO accounts_auditrecord
    (time, account_id, token_id, action, object_type, request_id, remote_address, object_id, object_account_id)
SELECT %s::timestamptz, %s::uuid, %s::uuid, %s::text, %s::text, %s::text, %s::inet"""
LINES = f"{AUDIT_INSERT}, named, owner FROM unnest(%s::text[], %s::uuid[]) AS line(named, owner)"


def audit_write(
    *,
    action: str,
    object_type: str,
    object_id: object = None,
    object_ids: Iterable[object] = (),
    account_id: UUID | None = None,
    actor: Actor | None = None,
) -> None:
    """Write one audit line per object of one account, in one INSERT.

    `action`: view, create, update or delete. `account_id`: the owner of the objects. `actor`: the client
    (`access.actor_of(request)`); None for the platform itself.
    """
    ids = (*(() if object_id is None else (object_id,)), *object_ids)
    audit_owned(action=action, object_type=object_type, owners=dict.fromkeys(ids, account_id), actor=actor)


def audit_owned(
    *, action: str, object_type: str, owners: Mapping[Any, UUID | None], actor: Actor | None = None
) -> None:
    """Write one audit line per object, with its owner from `owners` (object id → account id)."""
    if not owners:
        return
    values = audit_values(action=action, object_type=object_type, actor=actor)
    with prepared_cursor() as cursor:
        cursor.execute(LINES, [*values, [str(each) for each in owners], [*owners.values()]])


def audit_set(
    *,
    action: str,
    object_type: str,
    object_id: str,
    members: Iterable[object],
    account_id: UUID | None = None,
    actor: Actor | None = None,
) -> None:
    """Write one audit line for objects that one page shows together; `members` are their ids."""
    names = ("time", "account_id", "token_id", "action", "object_type", "request_id", "remote_address")
    values = dict(zip(names, audit_values(action=action, object_type=object_type, actor=actor), strict=True))
    AuditRecord.objects.create(
        **values, object_id=object_id, object_account_id=account_id, members=[str(each) for each in members]
    )


def audit_values(*, action: str, object_type: str, actor: Actor | None = None) -> list[Any]:
    """Return the parameters of `AUDIT_INSERT`."""
    actor = actor or Actor()
    return [
        utc_now(), actor.account_id, actor.token_id, action, object_type, current_request_id.get(), actor.remote_address
    ]  # fmt: skip


def audit_prune(*, before: datetime, actions: Collection[str] | None = None) -> int:
    """Remove audit lines before a time, of all actions or of some, and return their number."""
    lines = AuditRecord.objects.filter(time__lt=before)
    removed, _ = (lines if actions is None else lines.filter(action__in=actions)).delete()
    return removed
