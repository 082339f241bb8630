"""The outbox: callbacks are stored in the transaction that causes them, and delivered by workers after its commit.

A callback is delivered at least once, under one id. `apps.sender.delivery` claims and delivers it.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.db import connection, transaction
from django.db.models import QuerySet

from apps.accounts.audit import audit_owned
from apps.accounts.auth.principal import Actor
from apps.common.config import config
from apps.common.prepared import prepared_cursor
from apps.common.process import PerProcess, Status
from apps.common.times import utc_now
from apps.common.tracing import current_traceparent
from apps.sender.config import Callbacks
from apps.sender.delivery.wakeup import wake
from apps.sender.models import Callback
from apps.sender.targets import Target

logger = logging.getLogger(__name__)

CHECK_S = 5.0
MAX_ACCOUNTS = 10_000
INSERT = """
INSERT INTO sender_callback (account_id, callback_id, kind, target, place, server, payload, size, object_id,
    traceparent, create_time, due_time, expire_time, attempts, error)
VALUES """
ROW = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now(), now(), now() + %s * interval '1 second', 0, '')"
BATCH = 1000  # PostgreSQL takes 65,535 parameters
FULL = """
SELECT count(*) >= %s OR coalesce(sum(size), 0) >= %s
FROM (SELECT size FROM sender_callback WHERE account_id = %s AND dead_time IS NULL LIMIT %s) AS waiting
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCallback:
    """A callback to store. `payload`: the JSON object that the target receives. `object_id`: what it reports."""

    target: Target
    payload: str
    object_id: UUID | None = None
    callback_id: UUID = field(default_factory=uuid4)


def server_digest(account_id: UUID | None, target: Target) -> UUID:
    """Return the key of a target's circuit breaker. Accounts share none: one cannot stop the callbacks of another."""
    text = f"{account_id} {target.kind} {target.server}"
    return UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])


def callbacks_create(*, account_id: UUID | None, callbacks: Sequence[NewCallback]) -> None:
    """Store callbacks in the caller's transaction, by one statement. Their delivery starts after its commit.

    If too many callbacks of the account wait (`LUNA_CALLBACKS`), they are dropped and logged instead: a target that is
    away must not fail requests or fill the disk. `account_id`: None for operators, who have no such limit.
    """
    if not callbacks or (account_id is not None and not quota().has_room(account_id, len(callbacks))):
        return
    total_time_s, traceparent = config(Callbacks).total_time, current_traceparent()
    for start in range(0, len(callbacks), BATCH):
        batch = callbacks[start : start + BATCH]
        parameters = [
            value for each in batch for value in (account_id, *_values(account_id, each), traceparent, total_time_s)
        ]
        with prepared_cursor() as cursor:
            cursor.execute(INSERT + ", ".join([ROW] * len(batch)), parameters)
    transaction.on_commit(wake, robust=True)


def callbacks_replay(*, callback_ids: Collection[UUID]) -> int:
    """Deliver dead letters again, under their ids. Return how many there were."""
    now = utc_now()
    replayed = (
        Callback.objects.unscoped()
        .filter(callback_id__in=callback_ids, dead_time__isnull=False)
        .update(
            dead_time=None,
            due_time=now,
            expire_time=now + timedelta(seconds=config(Callbacks).total_time),
            attempts=0,
        )
    )
    transaction.on_commit(wake, robust=True)
    return replayed


def callbacks_drop(*, callback_ids: Collection[UUID], actor: Actor | None = None) -> int:
    """Delete callbacks undelivered, with one audit line each. Return how many there were."""
    with transaction.atomic():
        rows = Callback.objects.unscoped().filter(callback_id__in=callback_ids)
        owners = dict(rows.values_list("callback_id", "account_id"))
        rows.filter(callback_id__in=owners).delete()
        audit_owned(action="delete", object_type="callback", owners=owners, actor=actor)
    return len(owners)


def callbacks_forget(*, account_id: UUID, object_ids: "Collection[UUID] | QuerySet[Any, Any]") -> int:
    """Delete the callbacks that report deleted objects. Return how many there were.

    `object_ids`: ids, or a query for them.
    """
    return Callback.objects.for_account(account_id).filter(object_id__in=object_ids).delete()[0]


def _values(account_id: UUID | None, new: NewCallback) -> tuple[Any, ...]:
    target, size = orjson.dumps(new.target.packed()).decode(), len(new.payload.encode())
    server = server_digest(account_id, new.target)
    return new.callback_id, new.target.kind, target, new.target.place, server, new.payload, size, new.object_id


class Quota:
    """Which accounts have too many waiting callbacks. Each account is checked at most every `CHECK_S` seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked: dict[UUID, tuple[float, bool]] = {}  # time of the check (monotonic), whether there is room
        self._dropped = 0

    def has_room(self, account_id: UUID, new: int) -> bool:
        """Return whether `new` callbacks may be stored; log and count them otherwise."""
        now = time.monotonic()
        checked_at, room = self._checked.get(account_id, (-CHECK_S, True))
        if now - checked_at >= CHECK_S:
            room = not self._is_full(account_id)
            with self._lock:
                if len(self._checked) >= MAX_ACCOUNTS:
                    self._checked.clear()
                self._checked[account_id] = now, room
        if not room:
            with self._lock:
                self._dropped += new
            logger.error("Dropped %d callbacks of account %s: too many are waiting", new, account_id)
        return room

    def status(self) -> Status:
        """Return the number of dropped callbacks."""
        return {"dropped": self._dropped}

    @staticmethod
    def _is_full(account_id: UUID) -> bool:
        limits = config(Callbacks)
        with connection.cursor() as cursor:
            cursor.execute(FULL, [limits.pending_limit, limits.pending_bytes, account_id, limits.pending_limit])
            row: Any = cursor.fetchone()
        return bool(row[0])


quota = PerProcess("callback quota", Quota, status=Quota.status)
