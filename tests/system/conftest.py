"""The whole platform as `make up` starts it, in a var directory and on a port of its own."""

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from luna.embedded.addresses import networks_dir, var_dir
from tests.system.helpers import ADMIN_LOGIN, Platform


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@pytest.fixture(scope="package")
def platform() -> Iterator[Platform]:
    with started() as running:
        yield running
