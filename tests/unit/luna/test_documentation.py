"""Commands in the documentation exist under the path by which it calls them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from luna.embedded.__main__ import COMMANDS, FILE_COMMANDS
from luna.embedded.addresses import CHECKOUT

PAGES = [*sorted((CHECKOUT / "docs").glob("*.md")), CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"]
EMBEDDED = {*COMMANDS, *FILE_COMMANDS, "exec"}
CODE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```|`([^`\n]+)`", re.M | re.S)


def code(page: Path) -> Iterator[str]:
    """Yield the lines of code blocks and the inline code of a page."""
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"))
    for language, block, inline in CODE.findall(text):
        if language in ("", "sh", "bash"):
            yield from (block or inline).splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_and_are_called_by_a_path_that_works(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.M))
    wrong = []
    for line in code(page):
        for before, command in re.findall(r"(\S*\s?)manage\.py ([a-z_0-9]+)", line):
            if before.strip() != ".venv/bin/python" or command not in get_commands():
                wrong.append(line)
        wrong += [line for name in re.findall(r"^make ([a-z]+)", line) if name not in targets]
        for before, name in re.findall(r"(\S*\s?)-m luna\.embedded(?: ([a-z]+))?", line):
            if (name and name not in EMBEDDED) or before.strip() == "python":
                wrong.append(line)
        wrong += [line for start in ("pip ", "python ", "pytest ") if line.startswith(start)]
    assert wrong == []


HELP = """
import runpy, sys
for command in sys.argv[1:]:
    sys.argv = ["manage.py", command, "--help"]
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except SystemExit as end:
        assert not end.code, command
"""


def test_commands_print_their_help() -> None:
    commands = ["networks", "erase", "fsck", "changepassword", "calibrate", "serve", "demo"]
    done = subprocess.run(
        [sys.executable, "-c", HELP, *commands],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "luna.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^usage: manage.py (\w+)", done.stdout, re.M) == commands
