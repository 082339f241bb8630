"""Clients generated from the OpenAPI document."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from apps.common.config import Directories, config
from tests.conformance.document import SNAPSHOT

CONFIGURATION = Path(settings.BASE_DIR) / "docs" / "openapi-python-client.yml"
NPM_PACKAGES = ("openapi-typescript@7.13.0", "typescript@5.9.3")


def generate_python(directory: Path) -> Path:
    """Generate the Python package `luna_client`; return the directory that contains it."""
    project = directory / "python"
    command = (sys.executable, "-m", "openapi_python_client", "generate", "--path", str(SNAPSHOT))
    run(*command, "--config", str(CONFIGURATION), "--output-path", str(project), cwd=directory)
    return project


def npm_tools() -> Path:
    """Return the directory of the npm packages, installed at the first use. Skip without Node or registry."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    tools = config(Directories).cache / "clients"
    if not (tools / "node_modules" / "openapi-typescript").exists():
        tools.mkdir(parents=True, exist_ok=True)
        install = ("npm", "install", "--no-audit", "--no-fund", "--prefix", str(tools), *NPM_PACKAGES)
        done = subprocess.run(install, cwd=tools, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {', '.join(NPM_PACKAGES)}: {done.stderr[-300:]}")
    return tools / "node_modules" / ".bin"


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr
