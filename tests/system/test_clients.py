"""A client that openapi-python-client generates from the OpenAPI document works on the running platform."""

import json
import os
import subprocess
import sys
from pathlib import Path

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs
from tests.conformance.clients import generate_python
from tests.system.helpers import Platform

WALK = Path(__file__).parent / "client_walk.py"


def test_generated_python_client(platform: Platform, tmp_path: Path) -> None:
    photographs = sample_photographs(config(Directories).cache)
    environment = os.environ | {"PYTHONPATH": str(generate_python(tmp_path))}
    command = [sys.executable, str(WALK), platform.url, str(photographs[2]), str(photographs[0])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["similarity"] > 0.85
