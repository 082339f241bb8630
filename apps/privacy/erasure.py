"""Erasure of a person or an account from all rooms, with a receipt.

The rooms register their erasers (`apps.common.holdings`); this module runs them in one transaction.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.db import transaction
from redis.exceptions import ResponseError

from apps.accounts.audit import audit_write
from apps.accounts.erasure import account_erase as erasure_run
from apps.accounts.erasure import rows_count
from apps.accounts.models import Account
from apps.accounts.services import account_close
from apps.common.config import Directories, config
from apps.common.holdings import PersonEraser, Progress, Report, Trace, holdings
from apps.common.redis_client import client
from apps.common.times import format_time, utc_now

logger = logging.getLogger(__name__)


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

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values()) and not self.rows

    def members(self) -> dict[str, Any]:
        """Return the members that the API shows: ids, time and subject, and what the rooms found."""
        own = {"receipt_id": self.receipt_id, "time": self.time, "subject": self.subject, "dry_run": self.dry_run}
        return own | {**self.found}

    def as_json(self) -> str:
        return json.dumps(self.members() | {"rows": self.rows}, indent=2)


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
    """Erase a person's data in all rooms. All rows are deleted in one transaction.

    Beside the lines of the erased objects, one audit line has the id of the receipt. Files and Redis keys are removed
    after the commit. What cannot be removed expires, is replaced by its room, or is found by `fsck`.
    """
    erasers = holdings.person_erasers()
    receipt_id = str(uuid4())
    with transaction.atomic():
        _find(erasers, trace)
        erases = not dry_run and any(_reports(erasers).values())
        if erases:
            for eraser in erasers:
                eraser.erase(trace)
            audit_write(
                action="erase",
                object_type="person",
                object_id=receipt_id,
                account_id=trace.account_id,
                actor=trace.actor,
            )
    if erases:
        clean_ups: list[Callable[[], None]] = [*(partial(eraser.clean, trace) for eraser in erasers), _compact_redis]
        for clean_up in clean_ups:
            try:
                clean_up()
            except Exception:  # of any storage: the rows are erased, so the others clean up and the receipt is written
                logger.exception("The clean-up of erasure %s failed in part", receipt_id)
    return Receipt(receipt_id=receipt_id, subject=trace.subject, dry_run=dry_run, found=_reports(erasers))


def receipt_keep(*, receipt: Receipt, folder: Path | None = None) -> Path | None:
    """Write a receipt into a folder (default: `receipts` in the var directory) and return its path.

    Return None when the file cannot be written; the log then has the receipt.
    """
    folder = folder or config(Directories).var / "receipts"
    path = folder / f"erase-{receipt.receipt_id}.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(receipt.as_json(), encoding="utf-8")
    except OSError:
        logger.exception("Cannot write %s: %s", path, receipt.as_json())
        return None
    return path


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
