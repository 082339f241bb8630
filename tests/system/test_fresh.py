"""A new user's way: README and quick start, word by word, in a copy of the checkout, with an empty home.

Two things differ from a fresh clone: packages come from this checkout's .venv and cache, so that the test needs no
network, and the port is a free one.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs
from luna.embedded.addresses import CHECKOUT
from luna.embedded.supervisor import read_state
from tests.ports import free_port
from tests.system.quickstart import steps

pytestmark = pytest.mark.slow
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "var", ".*_cache", ".hypothesis", ".coverage*")
BLOCK = re.compile(r"^```\n(.*?)^```", re.M | re.S)
PASSWORD = re.compile(r"Created the administrator (\S+)\. Password, shown only once: (\S+)")


@dataclass(frozen=True)
class Clone:
    """A copy of the checkout, and the shell of its user."""

    path: Path
    environment: dict[str, str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def shell(self, script: str, *, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
        """Run a script of the documentation in bash; its port 5000 is replaced."""
        return subprocess.run(
            ["bash", "-c", script.replace("127.0.0.1:5000", f"127.0.0.1:{self.port}")],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def works(self, script: str, *, timeout_s: float = 400) -> str:
        done = self.shell(script, timeout_s=timeout_s)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pids(self) -> dict[str, int]:
        return dict(read_state(self.path / "var").running)


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    place = Path(tempfile.mkdtemp(prefix="luna-fresh-"))
    place.chmod(0o711)  # under root, PostgreSQL's user must be able to pass through
    (place / "home").mkdir()
    path = Path(shutil.copytree(CHECKOUT, place / "luna", ignore=LEFT_OUT))
    path.chmod(0o711)
    (path / ".venv").symlink_to((CHECKOUT / ".venv").resolve())
    (path / "var").mkdir(mode=0o711)
    (path / "var" / "cache").symlink_to(config(Directories).cache.resolve())
    port = free_port()
    environment = {"HOME": str(place / "home"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LUNA_PORT": str(port)}
    made = Clone(path, environment, port)
    try:
        yield made
    finally:
        made.shell("make down")
        shutil.rmtree(place, ignore_errors=True)


def blocks(heading: str) -> list[str]:
    """Return the blocks of commands below a heading of the README."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return BLOCK.findall(text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0])


def test_a_first_request_as_in_the_readme(clone: Clone) -> None:
    shutil.copy(sample_photographs(config(Directories).cache)[0], clone.path / "photograph.jpg")
    (script,) = blocks("A first request")
    said = clone.works(f"set -e\n{script}")
    assert (clone.path / "var" / "networks").is_dir(), "`make up` builds the networks"
    login, password = PASSWORD.findall(said)[0]
    assert f"Luna answers at {clone.url}" in said
    assert httpx.get(f"{clone.url}/6/accounts", auth=(login, password)).status_code == 200
    answer = json.loads(said[said.rindex('{"images"') :])
    assert answer["images"][0]["status"] == 1
    assert len(answer["images"][0]["detections"]["samples"]) >= 3


def test_the_quick_start_ends_with_the_recognised_person(clone: Clone) -> None:
    """No variable replaces the address, the photographs or the Python, as in `test_quickstart`."""
    script = "".join(f"{step.script}\ncp answer.json step-{n}.json 2>&- || true\n" for n, step in enumerate(steps()))
    clone.works(script, timeout_s=200)
    answers = [json.loads(path.read_text()) for path in clone.path.glob("step-*.json")]
    events = [answer for answer in answers if isinstance(answer, dict) and "event_create_time" in answer]
    assert [event["event"]["tags"] for event in events] == [["known"]] * len(events) != []


def test_the_listener_of_the_quick_start_does_not_hang(clone: Clone) -> None:
    script = next(step.script for step in steps() if "listen.py" in step.script)
    done = clone.shell(f"LUNA=http://127.0.0.1:1 AUTH=none PYTHON=.venv/bin/python\n{script}", timeout_s=60)
    assert "Connection refused" in done.stderr


def test_the_demo_runs_on_the_platform_and_leaves_it_running(clone: Clone) -> None:
    before = clone.pids()
    (script,) = blocks("Two commands")
    (command,) = [line for line in script.splitlines() if line.startswith("make demo")]
    said = clone.works(command)
    assert "The one person who is in two photographs was recognised, and no other face." in said
    assert clone.pids() == before


def test_up_restarts_newer_code_and_keeps_the_data(clone: Clone) -> None:
    before = clone.pids()
    accounts = "make --no-print-directory up"
    assert f"Luna already runs at {clone.url}" in clone.works(accounts)
    assert clone.pids() == before
    with open(clone.path / "luna" / "__init__.py", "a") as file:
        file.write("\n# a newer release\n")
    said = clone.works("make up")
    assert "it is restarted" in said
    assert f"Luna answers at {clone.url}" in said
    assert "Created the administrator" not in said
    after = clone.pids()
    assert set(after) == set(before)
    assert not {*after.values()} & {*before.values()}
    answer = httpx.get(f"{clone.url}/6/account", auth=("ada@example.com", "correct horse battery"))
    assert answer.json()["login"] == "ada@example.com"
    assert f"Luna already runs at {clone.url}" in clone.works("make up")


def test_backup_and_restore_as_in_the_operator_s_page(clone: Clone) -> None:
    page = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    backup, restore = re.findall(
        r"^```sh\n(.*?)^```", page.partition("\n## Backup\n")[2].partition("\n## ")[0], re.M | re.S
    )
    clone.works(f"set -e\n{backup}make down\nmv var old\nmkdir -m 711 var\nln -s ../old/cache var/cache\n{restore}")
    answer = httpx.get(f"{clone.url}/6/account", auth=("ada@example.com", "correct horse battery"))
    assert answer.status_code == 200


def test_a_demo_announces_no_platform_that_it_stops(clone: Clone) -> None:
    clone.works("make down")
    said = clone.works("make demo")
    assert "Luna answers at" not in said
    assert not clone.pids()
    kept = clone.works("make demo KEEP=1")
    assert kept.rstrip().endswith("`make down` stops it.")
    assert "Kept: account" in kept
    assert "web-1" in clone.pids()
    assert "Stopped: supervisor" in clone.works("make down")
