from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from luna.embedded.addresses import celery_broker_url, database_url, redis_url, socket_dir
from luna.embedded.secrets import secret

DEEP = "d" * 120


def test_given_urls_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/base")
    monkeypatch.setenv("REDIS_URL", "redis://somewhere:1234/2")
    assert database_url() == "postgresql://somewhere/base"
    assert redis_url() == "redis://somewhere:1234/2"
    assert celery_broker_url(redis_url()) == "redis://somewhere:1234/2"


def test_reading_addresses_starts_nothing(var: Path) -> None:
    assert database_url() == database_url()
    assert redis_url() == redis_url()
    assert [path.name for path in var.iterdir()] == ["secrets"]


@pytest.mark.parametrize("name", ["short", DEEP, "with space", "100%", "a'b\"c", "käse"])
def test_sockets_fit_into_a_socket_address(name: str) -> None:
    directory = socket_dir(Path("/srv") / name / "postgres")
    assert len(f"{directory}/.s.PGSQL.5432.lock".encode()) <= 107
    assert directory != socket_dir(Path("/srv") / name / "redis")


def test_secrets_are_their_owners_only_and_stay(var: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        values = set(threads.map(lambda _: secret(var, "password"), range(64)))
    assert len(values) == 1
    assert len(values.pop()) == 43
    path = var / "secrets" / "password"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [other.name for other in path.parent.iterdir()] == ["password"]
    assert secret(var, "another") != path.read_text()
