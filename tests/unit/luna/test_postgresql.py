"""The health check of lasting connections."""

import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

from apps.common.api.exceptions import as_luna_error
from luna.postgresql.timeouts import bound_statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def other() -> Iterator[BaseDatabaseWrapper]:
    made = connections.create_connection("default")
    made.connect()
    yield made
    made.close()


def terminate(other: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [other.connection.info.backend_pid])
        assert cursor.fetchone() == (True,)


def test_a_connection_that_lives_is_usable_and_is_not_asked(other: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        before = last_query(cursor, other)
        time.sleep(0.01)
        assert other.is_usable()
        assert last_query(cursor, other) == before


def last_query(cursor: CursorWrapper, other: BaseDatabaseWrapper) -> object:
    cursor.execute(
        "SELECT query_start FROM pg_stat_activity WHERE pid = %s", [other.connection.info.backend_pid]
    )  # fmt: skip
    return cursor.fetchone()


def test_a_connection_that_the_server_closed_is_not_usable(other: BaseDatabaseWrapper) -> None:
    terminate(other)
    assert not other.is_usable()


def test_a_closed_connection_is_not_usable(other: BaseDatabaseWrapper) -> None:
    other.connection.close()
    assert not other.is_usable()
    other.connection = None
    assert not other.is_usable()


def test_the_next_request_connects_anew(other: BaseDatabaseWrapper) -> None:
    terminate(other)
    other.close_if_unusable_or_obsolete()
    with other.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


@pytest.fixture
def bounded() -> Iterator[BaseDatabaseWrapper]:
    connection_created.disconnect(dispatch_uid="luna.postgresql.timeouts")  # of the server of another test
    bound_statements(statement_s=0.2, lock_s=0.1)
    made = connections.create_connection("default")
    made.connect()
    connection_created.disconnect(dispatch_uid="luna.postgresql.timeouts")  # the tests' own connection has no limits
    yield made
    made.close()


def test_a_statement_ends_in_time(bounded: BaseDatabaseWrapper) -> None:
    with pytest.raises(OperationalError) as caught, bounded.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    assert_timeout(caught.value)


@pytest.mark.django_db(transaction=True)
def test_waiting_for_a_lock_ends_in_time(bounded: BaseDatabaseWrapper) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(1)")
        with pytest.raises(OperationalError) as caught, bounded.cursor() as other:
            other.execute("SELECT pg_advisory_xact_lock(1)")
    assert_timeout(caught.value)


def assert_timeout(error: OperationalError) -> None:
    answered = as_luna_error(error)
    assert (answered.code, answered.status, answered.headers) == (10017, 503, {"Retry-After": "1"})
