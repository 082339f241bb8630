"""The audit log: who read whose biometric data, deleted it, or changed the administration.

Services write the lines, in the transaction of what they do: they get the actor from the view, the admin page or the
command. A deletion and a biometric read leave one line per object; what a run over many objects leaves is documented at
the service.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.accounts.auth.principal import Actor
from apps.accounts.models import AuditRecord
from apps.common.prepared import prepared_cursor
from apps.common.request_id import current_request_id
from apps.common.times import utc_now

# Every read of a sample waits for its line: the ORM takes longer to make the statement than PostgreSQL to run it. After
# it come the object's id and its account, of every line.
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

    `action` is a verb (view, create, update, delete), `account_id` the owner of the objects, `actor` who did it
    (`access.actor_of(request)`); without one it was the platform itself.
    """
    ids = (*(() if object_id is None else (object_id,)), *object_ids)
    audit_owned(action=action, object_type=object_type, owners=dict.fromkeys(ids, account_id), actor=actor)


def audit_owned(
    *, action: str, object_type: str, owners: Mapping[Any, UUID | None], actor: Actor | None = None
) -> None:
    """As `audit_write`, of objects that several accounts may own: the account by the object's id."""
    if not owners:
        return
    values = audit_values(action=action, object_type=object_type, actor=actor)
    with prepared_cursor() as cursor:
        cursor.execute(LINES, [*values, [str(each) for each in owners], [*owners.values()]])


def audit_values(*, action: str, object_type: str, actor: Actor | None = None) -> list[Any]:
    """What `AUDIT_INSERT` takes."""
    actor = actor or Actor()
    return [
        utc_now(), actor.account_id, actor.token_id, action, object_type, current_request_id.get(), actor.remote_address
    ]  # fmt: skip


def audit_prune(*, before: datetime) -> int:
    """Remove audit lines from before a time; return how many."""
    removed, _ = AuditRecord.objects.filter(time__lt=before).delete()
    return removed
