"""What stops `up` before anything starts is one sentence and exit 1."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from luna.embedded import commands, services
from luna.embedded.addresses import CHECKOUT, networks_dir
from luna.embedded.processes import LOG_LIMIT_BYTES, EmbeddedError, bound_log, log_path, spawn, stop


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def up(var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "luna.embedded", "up"],
        cwd=CHECKOUT,
        env=os.environ
        | {"LUNA_NETWORKS_DIR": str(networks_dir(CHECKOUT / "var")), "DJANGO_SETTINGS_MODULE": "luna.settings"}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], var: Path, *words: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr
    assert all(service.running_pid(var) is None for service in services.embedded().values())


def test_a_taken_port(var: Path, taken_port: int) -> None:
    assert_refused(up(var, LUNA_PORT=str(taken_port)), var, str(taken_port), "Address already in use", "LUNA_PORT")


def test_missing_networks(var: Path) -> None:
    assert_refused(up(var, LUNA_NETWORKS_DIR="/nonexistent"), var, "/nonexistent", "make networks")


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
def test_a_wrong_number(var: Path, taken_port: int, number: str) -> None:
    assert_refused(up(var, LUNA_PORT=number), var, "LUNA_PORT", number)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LUNA_WORKERS", "0", ["from 1 to 1024"]),
        ("LUNA_PORT", "99999", ["from 1 to 65535"]),
        ("LUNA_REDIS_MAXMEMORY", "plenty", ["256mb"]),
        ("LUNA_DEVICE", "tpu", ["cpu, cuda or cuda:N"]),
        ("LUNA_DEVICES", "cpu", ["write LUNA_DEVICE"]),
        ("DATABASE_URL", "mysql://user:hidden@host/luna", ["postgresql://"]),
    ],
)
def test_a_setting_that_cannot_be_used(var: Path, variable: str, value: str, words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = up(var, **{"LUNA_PORT": str(port), variable: value})
    assert_refused(done, var, variable, *words)
    assert "hidden" not in done.stderr


def test_a_var_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = up(tmp_path / "file", LUNA_VAR_DIR=str(tmp_path / "file"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"LUNA_VAR_DIR must be a directory that this user may write, got '{tmp_path}/file'" in done.stderr


def test_a_var_directory_that_cannot_be_written(var: Path) -> None:
    """/proc is read-only for root, too."""
    for command in (["-m", "luna.embedded", "up"], ["manage.py", "networks", "list"], ["-m", "luna.web", "9"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=CHECKOUT,
            env=os.environ | {"LUNA_VAR_DIR": "/proc/luna", "LUNA_NETWORKS_DIR": str(networks_dir(CHECKOUT / "var"))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "LUNA_VAR_DIR must be a directory that this user may write, got '/proc/luna" in done.stderr


def test_a_log_stays_bounded_while_it_is_written(var: Path) -> None:
    log = log_path(var, "loud")
    writer = spawn(["yes", "a line that is written for ever"], log=log)
    try:
        while log.stat().st_size <= LOG_LIMIT_BYTES:
            pass
    finally:
        stop(writer.pid)
    bound_log(log)
    assert log.stat().st_size == 0
    assert log.with_name("loud.log.1").stat().st_size > LOG_LIMIT_BYTES
    again = spawn(["echo", "next"], log=log)
    assert again.wait() == 0
    assert log.read_text() == "next\n"


@pytest.mark.parametrize(
    ("variable", "url", "words"),
    [
        ("DATABASE_URL", "postgresql://me:hidden@127.0.0.1:1/luna", ["PostgreSQL at 127.0.0.1:1/luna", "refused"]),
        ("DATABASE_URL", "postgresql://me:hidden@127.0.0.1:port/luna", ["must be a URL such as"]),
        ("REDIS_URL", "redis://:hidden@127.0.0.1:1/0", ["Redis at 127.0.0.1:1/0", "refused"]),
    ],
)
def test_a_service_that_is_away_is_named_within_seconds(var: Path, variable: str, url: str, words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    start = time.monotonic()
    done = up(var, **{"LUNA_PORT": str(port), variable: url})
    assert time.monotonic() - start < 90  # it was 180 s; most of this is the start of Python on a busy machine
    assert_refused(done, var, variable, "Luna cannot start", *words)
    assert "hidden" not in done.stderr


class Unhealthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(502)
        self.end_headers()
        self.wfile.write(b'{"error_code": 38001, "detail": "redis: Redis disconnected"}')

    def log_message(self, *args: object) -> None:
        """Silent."""


def test_a_platform_that_stays_unhealthy_names_the_reason(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "UNHEALTHY_S", 0.3)
    with ThreadingHTTPServer(("127.0.0.1", 0), Unhealthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(EmbeddedError, match="Luna is not healthy: redis: Redis disconnected"):
            commands.wait_until_healthy(var, url)
        server.shutdown()
    assert commands.health_problem(url) == commands.NO_ANSWER
