"""Every process ends with one sentence where its settings, files or variables do not allow a start."""

import json
import os
import subprocess
import sys
from pathlib import Path

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


LOG = {"LUNA_API_LOGGER": {"log_to_file": True, "folder_with_logs": "/dev/null/logs"}}


@pytest.mark.parametrize(
    ("values", "variables", "ends_with"),
    [
        (LOG, {}, ""),
        (LOG, {"LUNA_LOG_TO_FILE": "true", "LUNA_LOG_FOLDER": "/dev/null/logs"}, "LUNA_LOG_FOLDER cannot be used"),
        ({"LUNA_TASK_TYPES": {"task_types": ["nobodys"]}}, {"LUNA_CONFIG_STORED": "false"}, ""),
    ],
)
def test_stored_values_that_cannot_be_used(
    tmp_path: Path, values: object, variables: dict[str, str], ends_with: str
) -> None:
    """A stored directory of logs is ignored. Others prevent the start, unless stored values are not used."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text(json.dumps({"version": 5, "values": values}))
    away = {"LUNA_VAR_DIR": str(tmp_path), "DATABASE_URL": "postgresql://luna@127.0.0.1:1/luna"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "luna.settings"} | away | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode == 0) == (ends_with == ""), done.stderr
    assert ends_with in done.stderr
