"""`check_services` names the service and the reason, within seconds and without passwords."""

import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError
from django.db import connection

from apps.common.config import Services, SettingsError, config
from luna.management.commands import check_services as command

SECRET = "hidden-word"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def url_of_tests() -> str:
    return config(Services).database_url.get_secret_value()


def refusal(check: Any, url: str) -> str:
    start = time.monotonic()
    with pytest.raises(CommandError) as refused:
        check(url)
    assert time.monotonic() - start < 60
    assert SECRET not in str(refused.value)
    return str(refused.value)


@pytest.mark.django_db
def test_services_that_can_be_used() -> None:
    command.check_postgres(url_of_tests())
    command.check_redis(config(Services).redis_url.get_secret_value())


def test_no_server_at_all() -> None:
    words = refusal(command.check_postgres, f"postgres://me:{SECRET}@127.0.0.1:1/luna")
    assert words.startswith("DATABASE_URL: PostgreSQL at 127.0.0.1:1/luna cannot be used: ")
    assert "Connection refused" in words
    words = refusal(command.check_redis, f"redis://:{SECRET}@127.0.0.1:1/0")
    assert words.startswith("REDIS_URL: Redis at 127.0.0.1:1/0 cannot be used: ")
    assert "refused" in words


def test_servers_that_hang(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "TIMEOUT_S", 2)  # libpq's shortest
    assert "timeout expired" in refusal(
        command.check_postgres, f"postgresql://me:{SECRET}@127.0.0.1:{silent_port}/luna"
    )
    assert "Timeout" in refusal(command.check_redis, f"redis://:{SECRET}@127.0.0.1:{silent_port}/0")


@pytest.mark.django_db
def test_a_wrong_password_and_a_missing_database() -> None:
    own = connection.settings_dict
    place = f"{quote(own['HOST'], safe='')}:{own['PORT']}"
    wrong = f"postgresql://{own['USER']}:{SECRET}@{place}/{own['NAME']}"
    assert "password authentication failed" in refusal(command.check_postgres, wrong)
    missing = f"postgresql://{own['USER']}:{own['PASSWORD']}@{place}/nowhere"
    assert 'database "nowhere" does not exist' in refusal(command.check_postgres, missing)


@pytest.mark.django_db
def test_pgvector_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "AVAILABLE", "SELECT 1 FROM pg_available_extensions WHERE name = 'no such'")
    assert "has no pgvector: install the package of pgvector for PostgreSQL 18" in refusal(
        command.check_postgres, url_of_tests()
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OLDEST_POSTGRES", 99, "is version 18: version 99 or later"),
        ("OLDEST_PGVECTOR", (9, 9), "has pgvector 0.8.5: version 0.8 or later"),
    ],
)
def test_old_versions(monkeypatch: pytest.MonkeyPatch, name: str, value: object, words: str) -> None:
    monkeypatch.setattr(command, name, value)
    assert words in refusal(command.check_postgres, url_of_tests())


def test_an_old_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "OLDEST_REDIS", (99, 0))
    assert "is version " in refusal(command.check_redis, config(Services).redis_url.get_secret_value())


@pytest.mark.parametrize(
    ("field", "url"),
    [
        ("database_url", "postgresql://host:port/luna"),
        ("database_url", "postgresql://host:0/luna"),
        ("database_url", "postgresql://host"),
        ("database_url", "postgresql:///"),
        ("redis_url", "redis://host:many"),
        ("redis_url", "redis://"),
    ],
)
def test_an_address_that_cannot_be_one(field: str, url: str) -> None:
    with pytest.raises((SettingsError, ValueError)):
        Services.model_validate({**dict(config(Services)), field: url})
