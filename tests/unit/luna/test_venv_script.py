"""`tools/venv.sh`, with stubs for the interpreters of a machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from luna.embedded.addresses import CHECKOUT

TOOLS = ("sh", "rm", "mkdir", "cp")
# What the script asks of an interpreter. `-m venv` copies the stub, so that the environment shows who made it.
STUB = """\
#!/bin/sh
case "$*" in
    *"sys.exit(sys.version_info < (3, 11))"*) exit {old} ;;
    *"import ensurepip"*) exit {incomplete} ;;
    *print*) echo python{version}-venv ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && exit {broken} ;;
esac
"""


class Machine:
    """A machine with these programs on PATH, and the directory of a virtual environment."""

    def __init__(self, place: Path) -> None:
        self.programs, self.venv = place / "programs", place / "venv"
        self.programs.mkdir()
        for name in TOOLS:
            (self.programs / name).symlink_to(str(shutil.which(name)))

    def install(
        self, name: str, version: str, *, complete: bool = True, broken: bool = False, place: Path | None = None
    ) -> None:
        path = place or self.programs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        old = int(version.split(".")[1]) < 11
        path.write_text(
            STUB.format(old=int(old), incomplete=int(not complete), broken=int(broken), version=version)
            + f"# {version}\n"
        )
        path.chmod(0o755)

    def run(self, *arguments: str, python: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", CHECKOUT / "tools" / "venv.sh", *arguments, self.venv],
            env={"PATH": str(self.programs), "PYTHON": python},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def made_with(self) -> str:
        return (self.venv / "bin" / "python").read_text().rpartition("# ")[2].strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def assert_refused(done: subprocess.CompletedProcess[str], machine: Machine, *words: str) -> None:
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert all(word in done.stderr for word in words), done.stderr
    assert not machine.venv.exists(), "the next try would take a part for the whole"


def test_the_newest_python(machine: Machine) -> None:
    for version in ("3.11", "3.13", "3.12"):
        machine.install(f"python{version}", version)
    machine.install("python3", "3.14")
    assert machine.run().returncode == 0
    assert machine.made_with == "3.13"


def test_python3_of_a_new_system(machine: Machine) -> None:
    machine.install("python3", "3.15")
    assert machine.run().returncode == 0
    assert machine.made_with == "3.15"


def test_a_named_python(machine: Machine) -> None:
    machine.install("python3.13", "3.13")
    machine.install("mine", "3.11")
    assert machine.run(python="mine").returncode == 0
    assert machine.made_with == "3.11"


def test_no_python_that_serves(machine: Machine) -> None:
    machine.install("python3", "3.10")
    assert_refused(machine.run(), machine, "Python 3.11 or newer")
    assert_refused(machine.run(python="python3"), machine, "Python 3.11 or newer", "PYTHON=python3 is not")
    assert_refused(machine.run(python="nowhere"), machine, "PYTHON=nowhere is not")
    machine.install("python3.12", "3.12")
    assert machine.run().returncode == 0


def test_debian_without_ensurepip(machine: Machine) -> None:
    machine.install("python3.13", "3.13", complete=False)
    assert_refused(machine.run(), machine, "python3.13", "ensurepip", "apt install python3.13-venv")
    machine.install("python3.13", "3.13")
    assert machine.run().returncode == 0
    assert machine.made_with == "3.13"


def test_an_older_python_that_is_complete(machine: Machine) -> None:
    machine.install("python3.13", "3.13", complete=False)
    machine.install("python3.11", "3.11")
    assert machine.run().returncode == 0
    assert machine.made_with == "3.11"


def test_an_environment_that_works_is_left_alone(machine: Machine) -> None:
    machine.install("python3.13", "3.13")
    machine.install("python", "3.11", place=machine.venv / "bin" / "python")
    assert machine.run("--check").returncode == 0
    assert machine.run().returncode == 0
    assert machine.made_with == "3.11"


@pytest.mark.parametrize("version", ["3.9", None], ids=["old", "removed from the system"])
def test_an_environment_that_does_not_work(machine: Machine, version: str | None) -> None:
    machine.install("python3.13", "3.13")
    if version:
        machine.install("python", version, place=machine.venv / "bin" / "python")
    else:
        (machine.venv / "bin").mkdir(parents=True)
        (machine.venv / "bin" / "python").symlink_to("/nowhere/python")
    assert machine.run("--check").returncode != 0
    done = machine.run()
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "is created again" in done.stdout
    assert machine.made_with == "3.13"


def test_a_failed_creation_leaves_nothing(machine: Machine) -> None:
    machine.install("python3.13", "3.13", broken=True)
    assert machine.run().returncode == 1
    assert not machine.venv.exists()


def test_an_old_python_that_starts_the_platform() -> None:
    """Every entry imports `luna` first. Its module must compile with an old Python, too."""
    source = (CHECKOUT / "luna" / "__init__.py").read_text()
    script = f"import sys; sys.version_info = (3, 9, 18); exec({source!r})"
    done = subprocess.run(
        [shutil.which("python3") or "python3", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "Luna needs Python 3.11 or newer, this is Python 3.9.\n")
