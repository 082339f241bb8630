"""The health check of lasting connections."""

import time

import pytest
from django.db import connection, connections

pytestmark = pytest.mark.django_db


@pytest.fixture
def other():
    made = connections.create_connection("default")
    made.connect()
    yield made
    made.close()


def terminate(other) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [other.connection.info.backend_pid])
        assert cursor.fetchone() == (True,)


def test_a_connection_that_lives_is_usable_and_is_not_asked(other):
    with connection.cursor() as cursor:
        before = last_query(cursor, other)
        time.sleep(0.01)
        assert other.is_usable()
        assert last_query(cursor, other) == before


def last_query(cursor, other) -> object:
    cursor.execute(
        "SELECT query_start FROM pg_stat_activity WHERE pid = %s", [other.connection.info.backend_pid]
    )  # fmt: skip
    return cursor.fetchone()


def test_a_connection_that_the_server_closed_is_not_usable(other):
    terminate(other)
    assert not other.is_usable()


def test_a_closed_connection_is_not_usable(other):
    other.connection.close()
    assert not other.is_usable()
    other.connection = None
    assert not other.is_usable()


def test_the_next_request_connects_anew(other):
    terminate(other)
    other.close_if_unusable_or_obsolete()
    with other.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
