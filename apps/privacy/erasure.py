"""Erasure of a person or an account from all rooms, with a receipt.

The rooms register their erasers (`apps.common.holdings`); this module runs them in one transaction.
"""

import json
from dataclasses import dataclass, field
from uuid import uuid4

from django.db import transaction
from redis.exceptions import ResponseError

from apps.accounts.erasure import account_erase as erasure_run
from apps.accounts.erasure import rows_count
from apps.accounts.models import Account
from apps.accounts.services import account_close
from apps.common.holdings import PersonEraser, Progress, Report, Trace, holdings
from apps.common.redis_client import client
from apps.common.times import format_time, utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A record of an erasure: ids and counts, without biometric data. For an account, rows per table only.

    `found`: the merged reports of the rooms.
    """

    subject: str
    dry_run: bool
    found: Report
    rows: dict[str, int] = field(default_factory=dict)
    receipt_id: str = field(default_factory=lambda: str(uuid4()))
    time: str | None = field(default_factory=lambda: format_time(utc_now()))

    @property
    def files_left(self) -> list[str]:
        """Files that could not be removed."""
        left = self.found["files_left"]
        return left if isinstance(left, list) else []

    def as_json(self) -> str:
        own = {"receipt_id": self.receipt_id, "time": self.time, "subject": self.subject, "dry_run": self.dry_run}
        return json.dumps(own | {**self.found, "rows": self.rows}, indent=2)


def account_erase(*, account: Account, dry_run: bool, progress: Progress | None = None) -> Receipt | None:
    """Erase an account with all its data, in batches. Return None while another process erases it.

    After a crash or a storage error, the next call continues. Raises LunaError ACCESS_DENIED for the last
    administrator.
    """
    account_id = account.account_id
    if dry_run:
        rows = rows_count(account_id)
    else:
        account_close(account=account)
        erasure = erasure_run(account_id=account_id, progress=progress)
        if erasure is None:
            return None
        rows = dict(erasure.removed)
        _compact_redis()
    return Receipt(
        subject=f"account {account_id}",
        dry_run=dry_run,
        found=_reports(holdings.person_erasers()),
        rows={table: count for table, count in rows.items() if count},
    )


def person_erase(*, trace: Trace, dry_run: bool) -> Receipt:
    """Erase a person's data in all rooms. All rows are deleted in one transaction."""
    erasers = holdings.person_erasers()
    with transaction.atomic():
        _find(erasers, trace)
        if not dry_run:
            for eraser in erasers:
                eraser.erase(trace)
    if not dry_run:
        for eraser in erasers:
            eraser.clean(trace)
        _compact_redis()
    return Receipt(subject=trace.subject, dry_run=dry_run, found=_reports(erasers))


def _find(erasers: list[PersonEraser], trace: Trace) -> None:
    """Let all rooms search until none adds anything, because a room may find more by another's results."""
    known = -1
    while known != (known := len(trace.named) + len(trace.held)):
        for eraser in erasers:
            eraser.find(trace)


def _reports(erasers: list[PersonEraser]) -> Report:
    return {name: found for eraser in erasers for name, found in eraser.report().items()}


def _compact_redis() -> None:
    """Rewrite the append-only file of Redis without erased data. A managed Redis may refuse and does it itself."""
    try:
        client().bgrewriteaof()
    except ResponseError:
        return
