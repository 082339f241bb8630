"""Files and users of the embedded services."""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from luna.embedded.addresses import database_url, redis_url

MakeVar = Callable[[str], Path]


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
