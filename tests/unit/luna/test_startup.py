"""Every process ends with one sentence where its settings, files or variables do not allow a start."""

import os
import subprocess
import sys

import pytest

from luna.embedded.addresses import CHECKOUT

PROCESSES = {
    "web": ["-m", "luna.web", "9"],
    "worker": ["-m", "celery", "--quiet", "-A", "luna.celery", "worker", "--pool", "threads"],
    "beat": ["-m", "celery", "--quiet", "-A", "luna.celery", "beat"],
    "command": ["manage.py", "migrate"],
}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_value_that_cannot_be_used(process: str) -> None:
    done = subprocess.run(
        [sys.executable, *PROCESSES[process]],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "luna.settings", "LUNA_DEVICE": "tpu"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "Luna cannot start: LUNA_DEVICE must be cpu, cuda or cuda:N, got 'tpu'."


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("LUNA_DEVICES", "LUNA_DEVICES is not a setting: write LUNA_DEVICE, or remove it."),
        ("LUNA_JWT_ECDSA_KEY", "LUNA_JWT_ECDSA_KEY cannot be read: [Errno 2] No such file or directory: '/nowhere'"),
    ],
)
@pytest.mark.parametrize("process", ["web", "worker"])
def test_what_a_system_check_finds(process: str, variable: str, sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, *PROCESSES[process]],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "luna.settings", variable: "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"Luna cannot start: {sentence}"
