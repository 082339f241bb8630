"""A running platform and how to reach it."""

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from luna.embedded.addresses import CHECKOUT, networks_dir, var_dir
from tests.ports import free_port

ADMIN_LOGIN = "admin@luna.test"


@dataclass(frozen=True)
class Platform:
    """A running platform and how to reach it."""

    url: str
    var: Path
    environment: dict[str, str]
    admin_password: str

    def command(self, verb: str) -> subprocess.CompletedProcess[str]:
        """`python -m luna.embedded VERB` for this platform."""
        return subprocess.run(
            [sys.executable, "-m", "luna.embedded", verb],
            env=self.environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )


PROCESS_LINE = re.compile(r"^(\S+)\s+(\d+)$", re.MULTILINE)


def pids(platform: Platform) -> dict[str, int]:
    return {name: int(pid) for name, pid in PROCESS_LINE.findall(platform.command("status").stdout)}


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def wait_healthy(platform: Platform, within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            if httpx.get(f"{platform.url}/healthcheck", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"not healthy within {within_s} s")


@contextmanager
def started(**variables: str) -> Iterator[Platform]:
    """A platform with these environment variables, in a var directory of its own."""
    password = secrets.token_urlsafe(16)
    with tempfile.TemporaryDirectory(prefix="luna-system-") as directory:
        os.chmod(directory, 0o711)  # noqa: S103 - under root, PostgreSQL's user must be able to pass through
        environment = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        } | {
            "LUNA_VAR_DIR": directory,
            "LUNA_NETWORKS_DIR": str(networks_dir(var_dir())),
            "LUNA_PORT": str(free_port()),
            "LUNA_ADMIN_LOGIN": ADMIN_LOGIN,
            "LUNA_ADMIN_PASSWORD": password,
            "DJANGO_SETTINGS_MODULE": "luna.settings",
            **variables,
        }
        running = Platform(f"http://127.0.0.1:{environment['LUNA_PORT']}", Path(directory), environment, password)
        try:
            begun = running.command("up")
            assert begun.returncode == 0, begun.stderr + begun.stdout
            yield running
        finally:
            running.command("down")
