"""Clients work on the running platform: the project's, and those that public generators make."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs
from tests.conformance.clients import compile_typescript, generate_java, generate_python, generate_typescript, run
from tests.system.helpers import Platform

WALKS = Path(__file__).parent / "clients"
PYTHON = Path(__file__).parents[2] / "clients" / "python"


def similarity(platform: Platform, *program: str, environment: dict[str, str] | None = None) -> float:
    """Run the walk of a client with two photographs of one person; return the similarity that it prints."""
    photographs = sample_photographs(config(Directories).cache)
    command = [*program, platform.url, str(photographs[2]), str(photographs[0])]
    variables = os.environ | (environment or {})
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return float(json.loads(done.stdout)["similarity"])


def test_generated_python_client(platform: Platform, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(generate_python(tmp_path))}
    assert similarity(platform, sys.executable, str(WALKS / "walk.py"), environment=environment) > 0.85


def test_client_of_the_project(platform: Platform) -> None:
    environment = {"PYTHONPATH": str(PYTHON / "src")}
    assert (
        similarity(platform, sys.executable, str(PYTHON / "examples" / "enrol_and_match.py"), environment=environment)
        > 0.85
    )


@pytest.mark.slow
def test_generated_typescript_client(platform: Platform, tmp_path: Path) -> None:
    project = generate_typescript(tmp_path)
    shutil.copy(WALKS / "walk.ts", project)
    compile_typescript(project, "walk.ts")
    assert similarity(platform, "node", str(project / "walk.js")) > 0.85


@pytest.mark.slow
def test_generated_java_client(platform: Platform, tmp_path: Path) -> None:
    class_path = generate_java(tmp_path)
    run("javac", "-proc:none", "-cp", class_path, "-d", str(tmp_path), str(WALKS / "Walk.java"), cwd=tmp_path)
    assert similarity(platform, "java", "-cp", f"{tmp_path}:{class_path}", "Walk") > 0.85
