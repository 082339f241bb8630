"""What stops `up` before anything starts is one sentence and exit 1."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from luna.embedded import services
from luna.embedded.addresses import CHECKOUT, networks_dir
from luna.embedded.processes import LOG_LIMIT_BYTES, bound_log, log_path, spawn, stop


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
        assert "LUNA_VAR_DIR must be a directory that this user may write, got '/proc/luna'" in done.stderr


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
