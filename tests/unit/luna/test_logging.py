"""Log files by level, shared by processes and rotated, and settings that change in a running process."""

import json
import logging
import logging.config
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.common.config import Directories, Logger, SettingsError, override_config
from apps.common.logs import log_folder
from luna.celery import app
from luna.settings.logging import apply_changes, logging_configuration, process_kind

WRITER = """
import logging, logging.config, sys, json
logging.config.dictConfig(json.loads(sys.argv[1]))
for n in range(400):
    logging.getLogger("apps.test").info("%s line %d " + "x" * 2000, sys.argv[2], n)
"""


def own_handlers(configuration: dict[str, Any]) -> dict[str, Any]:
    return configuration | {"loggers": {}}


def test_a_file_for_each_level(tmp_path: Path, kept: None) -> None:
    with override_config(Logger, log_to_file=True, log_to_stdout=False, folder_with_logs=tmp_path, format="json"):
        logging.config.dictConfig(own_handlers(logging_configuration()))
        logger = logging.getLogger("apps.test")
        logger.warning("a warning")
        logger.critical("an end")
        logger.debug("below the level")
    (kind,) = {path.name.rpartition("_")[0] for path in tmp_path.glob("*.txt")}
    texts = {path.stem.rpartition("_")[2]: path.read_text() for path in tmp_path.glob("*.txt")}
    assert kind == "luna-manage"
    assert '"message":"a warning"' in texts["WARNING"]
    assert '"message":"an end"' in texts["ERROR"]
    assert "an end" not in texts["WARNING"]
    assert not texts.get("DEBUG")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.txt")} == {0o600}


def test_processes_share_files_that_are_rotated(tmp_path: Path) -> None:
    with override_config(Logger, log_to_file=True, log_to_stdout=False, folder_with_logs=tmp_path, max_log_file_size=1):
        text = json.dumps(own_handlers(logging_configuration()))
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, text, name], stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    for each in writers:
        assert each.communicate(timeout=120)[1] == ""
    lines = [line for path in tmp_path.glob("luna-*_INFO.txt*") for line in path.read_text().splitlines()]
    written = {tuple(line.partition(" apps.test: ")[2].split()[:3]) for line in lines}
    assert written == {(name, "line", str(n)) for name in ("one", "two") for n in range(400)}
    assert len(lines) == 800
    assert len(list(tmp_path.glob("luna-*_INFO.txt*"))) == 2, "1.6 MB are two files of 1 MB"


def test_the_level_changes_in_a_running_process(kept: None) -> None:
    with override_config(Logger, log_level="DEBUG"):
        apply_changes(frozenset({Logger}))
        assert logging.getLogger().level == logging.DEBUG
        apply_changes(frozenset())


def test_a_relative_directory_is_below_that_of_the_logs(tmp_path: Path) -> None:
    """`./` is the default of LUNA PLATFORM: no file may appear where a process was started."""
    for folder in (".", "own"):
        with override_config(Directories, var=tmp_path), override_config(Logger, folder_with_logs=Path(folder)):
            assert log_folder() == (tmp_path / "log" / folder).resolve()


def test_a_directory_that_cannot_be_used(tmp_path: Path, kept: None) -> None:
    file = tmp_path / "file"
    file.touch()
    before = logging.getLogger().handlers[:]
    with override_config(Logger, log_to_file=True, folder_with_logs=file), pytest.raises(SettingsError) as caught:
        apply_changes(frozenset({Logger}))
    assert "LUNA_LOG_FOLDER cannot be used" in str(caught.value)
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["/srv/luna/luna/web.py", "7"], "web"),
        (["celery", "-A", "luna.celery", "worker"], "worker"),
        (["celery", "-A", "luna.celery", "beat"], "beat"),
        (["manage.py", "migrate"], "manage"),
    ],
)
def test_names_of_processes(arguments: list[str], kind: str) -> None:
    assert process_kind(arguments) == kind


def test_workers_log_to_the_stream_of_the_process() -> None:
    """Celery's redirected stream drops the lines of handlers that are made after it, as for changed settings."""
    assert app.conf.worker_redirect_stdouts is False
