"""Statements that are planned once a connection."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Account
from apps.common.prepared import PreparedQuery, prepared_cursor, prepared_rows
from tests.factories import make_account

pytestmark = pytest.mark.django_db

STATEMENT = "SELECT %s::int + 1 AS prepared_once"


def ask(number: int) -> int:
    with prepared_cursor() as cursor:
        cursor.execute(STATEMENT, [number])
        return cursor.fetchone()[0]


def prepared() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%prepared_once%'")
        return cursor.fetchone()[0]


def test_it_is_prepared_once_and_answers_every_time() -> None:
    assert [ask(number) for number in range(12)] == list(range(1, 13))
    assert prepared() == 1


def test_it_survives_a_failed_transaction() -> None:
    assert [ask(number) for number in range(8)] == list(range(1, 9))
    with pytest.raises(DataError), transaction.atomic():
        ask(2**31 - 1)
    assert [ask(number) for number in range(8)] == list(range(1, 9))


def test_it_is_counted_among_the_queries() -> None:
    with CaptureQueriesContext(connection) as queries:
        ask(7)
    assert len(queries) == 1


def test_a_query_of_the_orm_is_made_once_and_takes_ids() -> None:
    mine, other = make_account(), make_account()
    made = []

    def build(limit: int, account_id: UUID) -> Any:
        made.append(limit)
        rows = Account.objects.filter(account_id=account_id, is_active=True).exclude(login="x")
        return rows.values_list("account_id", "login")[:limit]

    query = PreparedQuery(build)
    for account in (mine, other, mine):
        assert query.rows(1, account_id=account.pk) == [(account.pk, account.login)]
    assert query.rows(2, account_id=uuid4()) == []
    assert made == [1, 2]


def rows(number: int) -> list[tuple[Any, ...]]:
    return prepared_rows(STATEMENT, [number])


def test_rows_of_the_kept_cursor_survive_a_failure_and_a_new_connection(transactional_db: None) -> None:
    assert [rows(number) for number in range(8)] == [[(number + 1,)] for number in range(8)]
    assert prepared() == 1
    with pytest.raises(DataError), transaction.atomic():  # an exception of Django, as of its own cursors
        rows(2**31 - 1)
    assert rows(1) == [(2,)]
    connection.close()
    assert rows(1) == [(2,)]


def test_rows_of_the_kept_cursor_are_counted_among_the_queries() -> None:
    with CaptureQueriesContext(connection) as queries:
        rows(7)
    assert len(queries) == 1


def test_a_broken_transaction_gives_no_rows() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            rows(1)
