"""Dumps, their restore, and data that another major version of PostgreSQL has written."""

from pathlib import Path

import psycopg
import pytest

from luna.embedded import backup, commands, postgres, services
from luna.embedded.addresses import database_url
from luna.embedded.processes import EmbeddedError
from luna.embedded.supervisor import supervising
from tests.unit.embedded.helpers import MakeVar, remember, remembered, use


def write_rows() -> None:
    remember("kept")
    with psycopg.connect(database_url()) as connection:
        connection.execute("CREATE TABLE face (id bigserial PRIMARY KEY, v vector)")
        connection.execute("INSERT INTO face (v) VALUES ('[1,2,3]')")
        connection.execute("CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'")
        connection.execute("COMMENT ON TABLE face IS 'of people'")


def test_a_dump_carries_everything_into_another_directory(make_var: MakeVar, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make_var("one"), make_var("two")
    file = one.parent / "backups" / "luna.dump"
    use(one, monkeypatch)
    services.start(one)
    write_rows()
    backup.dump(one, file)  # while it runs
    first = file.read_bytes()
    services.stop(one)
    backup.dump(one, file)  # while it does not
    assert services.stop(one) == []
    assert file.read_bytes() != b"" != first
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["luna.dump"]

    use(two, monkeypatch)
    commands.restore(two, file)
    services.start(two)
    assert remembered()[0] == ["kept"]
    with psycopg.connect(database_url()) as connection:
        assert connection.execute("SELECT v, two() FROM face").fetchone() == ("[1,2,3]", 2)
        connection.execute("INSERT INTO face (v) VALUES ('[4]')")  # the sequence continues, and the role owns the table
    with pytest.raises(EmbeddedError, match="holds data"):
        backup.restore(two, file)
    assert remembered()[0] == ["kept"]


def test_data_of_another_major_version_is_kept_aside(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    services.start(var)
    write_rows()
    file = var / "luna.dump"
    backup.dump(var, file)
    services.stop(var)
    version = postgres.data_dir(var) / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(
        EmbeddedError, match=r"of PostgreSQL 17, but .* contains PostgreSQL 18.*make dump.*make restore"
    ):
        services.start(var)
    assert postgres.running_pid(var) is None
    commands.restore(var, file)
    kept = var / "postgres" / "data-17"
    assert str(kept.resolve()) in capsys.readouterr().out
    assert (kept / "PG_VERSION").read_text() == "17\n"
    services.start(var)
    assert remembered()[0] == ["kept"]


def test_what_prevents_a_dump_and_a_restore(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmbeddedError, match="There is no database"):
        backup.dump(var, var / "luna.dump")
    with pytest.raises(EmbeddedError, match=r"luna\.dump does not exist"):
        backup.restore(var, var / "luna.dump")
    var.mkdir()
    (var / "luna.dump").write_bytes(b"no dump")
    with pytest.raises(EmbeddedError, match="pg_restore failed"):
        backup.restore(var, var / "luna.dump")
    assert services.stop(var) == []
    with supervising(var), pytest.raises(EmbeddedError, match="make down"):
        commands.restore(var, var / "luna.dump")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@host/luna")
    with pytest.raises(EmbeddedError, match="use the pg_dump of its version"):
        backup.dump(var, var / "luna.dump")
