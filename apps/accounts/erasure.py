"""Erasure of accounts with all their data, in batches that survive a crash.

`services.account_delete` closes the account first, which ends all access. Its rows, possibly millions, are then deleted
in batches, each in its own transaction. After a crash or a timeout, the next `account_erase` of the periodic job or of
`manage.py erase` deletes the rest.

A room with data outside the database (files, Redis keys) registers a `Holding`.
"""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import CASCADE, Model

from apps.accounts.kept_answers import answers_forget
from apps.accounts.models import Account
from apps.common.holdings import Erasure, OutOfTimeError, Progress, Report, Trace, holdings
from apps.common.locks import advisory_lock
from apps.common.rows import COUNTED_ROWS

logger = logging.getLogger(__name__)

BATCH_ROWS = 1000
ATTEMPTS = 3  # requests and tasks that began before the account was closed may still add rows


def accounts_to_erase() -> list[UUID]:
    """Return the closed accounts that are not erased yet."""
    return list(Account.objects.filter(deletion_time__isnull=False).values_list("account_id", flat=True))


def account_erase(
    *, account_id: UUID, limit_s: float | None = None, progress: Progress | None = None
) -> Erasure | None:
    """Erase a closed account with all its data. Return None when data is left or another process erases the account.

    Propagates errors of the database and the storage. A later call continues in each case.
    """
    erasure = Erasure(limit_s, progress)
    with advisory_lock(f"erase account {account_id}") as ours:
        if not ours:
            return None
        try:
            for attempt in range(ATTEMPTS):
                last = attempt == ATTEMPTS - 1
                holdings.account_erase(account_id, erasure)
                try:
                    for model, column in references(Account):
                        rows_erase(erasure=erasure, model=model, column=column, owners=[account_id])
                except IntegrityError:  # a row was added below one of the batch
                    if last:
                        raise
                    continue
                answers_forget(account_id)
                if _row_delete(account_id, last=last):
                    return erasure
        except OutOfTimeError:
            logger.info("account_id=%s is closed; the periodic job erases the rest", account_id)
    return None


def references(model: type[Model]) -> list[tuple[Any, str]]:
    """Return the models whose rows belong to rows of `model`, with the referring column of each."""
    relations: list[Any] = [each for each in model._meta.get_fields(include_hidden=True) if not each.concrete]
    return [
        (relation.related_model, relation.field.column)
        for relation in relations
        if getattr(relation, "on_delete", None) is CASCADE
    ]


def rows_erase(*, erasure: Erasure, model: Any, column: str, owners: Sequence[Any]) -> None:
    """Delete the rows whose `column` is one of `owners`, after the rows that belong to them."""
    table, key = model._meta.db_table, model._meta.pk.column
    if key is None:  # a composite key: a few rows of each of the owners, which are one batch
        erasure.went(table, len(_column(f'DELETE FROM "{table}" WHERE "{column}" = ANY(%s) RETURNING 1', owners)))  # noqa: S608 - our names
        return
    below = references(model)
    # No ORDER BY: with one, PostgreSQL may scan all keys of the table for a few rows.
    found = f'SELECT "{key}" FROM "{table}" WHERE "{column}" = ANY(%s) LIMIT {BATCH_ROWS}'  # noqa: S608 - our names
    while keys := _column(found, owners):
        for child, reference in below:
            rows_erase(erasure=erasure, model=child, column=reference, owners=keys)
        gone = _column(f'DELETE FROM "{table}" WHERE "{key}" = ANY(%s) RETURNING 1', keys)  # noqa: S608 - our names
        erasure.went(table, len(gone))


def rows_count(account_id: UUID) -> dict[str, int]:
    """Return the number of rows that an account owns, by table."""
    counts = {model._meta.db_table: _count(model, column, account_id) for model, column in references(Account)}
    return {table: count for table, count in counts.items() if count}


def holdings_count(account_id: UUID) -> dict[str, int]:
    """Return the number of an account's objects by their name in the plural, in the database and outside of it.

    A number above `COUNTED_ROWS` means more rows than that, because counting all of them would take too long.
    Raises the errors of the rooms, such as REDIS_DISCONNECTED.
    """
    rows = {
        str(model._meta.verbose_name_plural): _count(model, column, account_id)
        for model, column in references(Account)
        if not model._meta.auto_created  # roles are no data
    }
    return rows | holdings.account_count(account_id)


def _count(model: Any, column: str, account_id: UUID) -> int:
    rows = f'SELECT 1 FROM "{model._meta.db_table}" WHERE "{column}" = ANY(%s) LIMIT {COUNTED_ROWS + 1}'  # noqa: S608
    statement = f"SELECT count(*) FROM ({rows}) AS bounded"  # noqa: S608 - our names
    count: int = _column(statement, [account_id])[0]
    return count


def _column(statement: str, values: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(values)])
        return [row[0] for row in cursor.fetchall()]


def _row_delete(account_id: UUID, *, last: bool) -> bool:
    """Delete the account's row and return True, or return False if rows still belong to it.

    Raises IntegrityError instead of returning False for the `last` attempt.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM accounts_account WHERE account_id = %s", [account_id])
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError:
        if last:
            raise
        return False
    return True


class PersonAnswers:
    """Erases kept responses of the accounts concerned, because they may name the person."""

    def find(self, trace: Trace) -> None:
        """Find nothing: kept responses are selected by account only."""

    def erase(self, trace: Trace) -> None:
        """Erase nothing: kept responses are stored in Redis only."""

    def clean(self, trace: Trace) -> None:
        for account_id in {each.account_id for each in trace.held}:
            answers_forget(account_id)

    def report(self) -> Report:
        return {}
