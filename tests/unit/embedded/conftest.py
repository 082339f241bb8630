import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from luna.embedded import postgres, services
from luna.embedded.addresses import database_url, digest, redis_url

MakeVar = Callable[[str], Path]


@pytest.fixture
def make_var(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeVar]:
    """Makes var directories below one that every user may pass through; ends their services afterwards.

    The directory made last is the one that addresses speak of.
    """
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    place = Path(tempfile.mkdtemp())  # pytest's own directories let nobody but their owner in
    place.chmod(0o711)
    made: list[Path] = []

    def make(name: str = "var") -> Path:
        var = place / name
        monkeypatch.setenv("LUNA_VAR_DIR", str(var))
        made.append(var)
        return var

    yield make
    for var in made:
        services.stop(var)
        shutil.rmtree(postgres.ROOTS_PLACE / digest(var), ignore_errors=True)
    shutil.rmtree(place)


@pytest.fixture
def var(make_var: MakeVar) -> Path:
    return make_var("var")


def use(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_VAR_DIR", str(var))


def remember(text: str) -> None:
    """Write a row and a key into the services of LUNA_VAR_DIR, acknowledged by both."""
    with psycopg.connect(database_url()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", (text,))
    with redis.Redis.from_url(redis_url()) as client:
        client.rpush("notes", text)


def remembered() -> tuple[list[str], list[str]]:
    """The rows and the keys of the services of LUNA_VAR_DIR."""
    with psycopg.connect(database_url()) as connection:
        rows = [row[0] for row in connection.execute("SELECT text FROM note ORDER BY ctid")]
    with redis.Redis.from_url(redis_url(), decode_responses=True) as client:
        return rows, client.lrange("notes", 0, -1)


def owner(pid: int) -> int:
    """The user id under which a process runs."""
    return os.stat(f"/proc/{pid}").st_uid
