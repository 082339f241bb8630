"""What goes when an account goes: everything, in small steps, and on after a crash.

The account is closed first (`services.account_delete`), so that nobody comes in. Then its rows go in batches of bounded
size, each in a transaction of its own: an account may own millions. What is left when a process dies, or when the time
of a request is over, goes with the next `account_erase`, of the periodic job or of `manage.py erase`.

A room that keeps something elsewhere (files, keys in Redis) registers a `Holding`.
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

logger = logging.getLogger(__name__)

BATCH_ROWS = 1000
ATTEMPTS = 3  # while requests that began before the account was closed still add rows


def accounts_to_erase() -> list[UUID]:
    """Accounts that are closed and not yet gone."""
    return list(Account.objects.filter(deletion_time__isnull=False).values_list("account_id", flat=True))


def account_erase(
    *, account_id: UUID, limit_s: float | None = None, progress: Progress | None = None
) -> Erasure | None:
    """Removes a closed account with all that it owns; None when something is left, or another process is at it.

    Errors of the database and of a storage come through; then, too, a later call goes on.
    """
    erasure = Erasure(limit_s, progress)
    with advisory_lock(f"erase account {account_id}") as ours:
        if not ours:
            return None
        try:
            for attempt in range(ATTEMPTS):
                holdings.account_erase(account_id, erasure)
                for model, column in references(Account):
                    rows_erase(erasure=erasure, model=model, column=column, owners=[account_id])
                answers_forget(account_id)
                if _row_delete(account_id, last=attempt == ATTEMPTS - 1):
                    return erasure
        except OutOfTimeError:
            logger.info("account_id=%s is closed; what is left of it goes later", account_id)
    return None


def references(model: type[Model]) -> list[tuple[Any, str]]:
    """The models whose rows belong to a row of `model`, each with the column that says so."""
    relations: list[Any] = [each for each in model._meta.get_fields(include_hidden=True) if not each.concrete]
    return [
        (relation.related_model, relation.field.column)
        for relation in relations
        if getattr(relation, "on_delete", None) is CASCADE
    ]


def rows_erase(*, erasure: Erasure, model: Any, column: str, owners: Sequence[Any]) -> None:
    """Removes the rows whose `column` is one of `owners`, what belongs to them first."""
    table, key = model._meta.db_table, model._meta.pk.column
    below = references(model)
    # Unordered: with an order PostgreSQL may walk through all keys of the table to find the few.
    found = f'SELECT "{key}" FROM "{table}" WHERE "{column}" = ANY(%s) LIMIT {BATCH_ROWS}'  # noqa: S608 - our names
    while keys := _column(found, owners):
        for child, reference in below:
            rows_erase(erasure=erasure, model=child, column=reference, owners=keys)
        gone = _column(f'DELETE FROM "{table}" WHERE "{key}" = ANY(%s) RETURNING 1', keys)  # noqa: S608 - our names
        erasure.went(table, len(gone))


def rows_count(account_id: UUID) -> dict[str, int]:
    """How many rows an account owns, by table."""
    counts = {}
    for model, column in references(Account):
        table = model._meta.db_table
        counts[table] = _column(f'SELECT count(*) FROM "{table}" WHERE "{column}" = ANY(%s)', [account_id])[0]  # noqa: S608
    return {table: count for table, count in counts.items() if count}


def _column(statement: str, values: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(values)])
        return [row[0] for row in cursor.fetchall()]


def _row_delete(account_id: UUID, *, last: bool) -> bool:
    """The account's own row, when nothing belongs to it any more. Raises IntegrityError when that is so for long."""
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
    """The answers that are kept for repeated requests: they may name the person."""

    def find(self, trace: Trace) -> None:
        """They are found by account alone."""

    def erase(self, trace: Trace) -> None:
        """They are in Redis only."""

    def clean(self, trace: Trace) -> None:
        for account_id in {each.account_id for each in trace.held}:
            answers_forget(account_id)

    def report(self) -> Report:
        return {}
