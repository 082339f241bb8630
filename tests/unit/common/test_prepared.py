"""Statements that are planned once a connection."""

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.common.prepared import prepared_cursor

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
