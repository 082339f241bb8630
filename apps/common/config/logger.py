"""Settings of log lines."""

from pathlib import Path
from typing import Literal

from apps.common.config.groups import Scope, Settings, group, setting


@group("LUNA_API_LOGGER", scope=Scope.LIVE)
class Logger(Settings):
    """Log lines of all processes."""

    log_level: Literal["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"] = setting(
        "INFO", "Lowest level that is logged.", env="LUNA_LOG_LEVEL"
    )
    log_time: Literal["LOCAL", "UTC"] = setting(
        "LOCAL", "Times of text lines: in the server's time zone or in UTC. JSON lines have UTC.", env="LUNA_LOG_TIME"
    )
    log_to_stdout: bool = setting(
        True,
        "Whether lines go to the standard output. `make up` appends it to the file of the process in `var/log`.",
        env="LUNA_LOG_TO_STDOUT",
    )
    log_to_file: bool = setting(
        False,
        "Whether lines go to files `<process>_<level>.txt` too, where the level is ERROR, WARNING, INFO or DEBUG.",
        env="LUNA_LOG_TO_FILE",
    )
    folder_with_logs: Path = setting(
        Path("."),
        "Directory of these files; a relative path is below `log` in the var directory. Default: this directory.",
        env="LUNA_LOG_FOLDER",
    )
    max_log_file_size: int = setting(
        1024,
        "Size in MB at which a file is rotated; a level has up to six files, then the oldest is deleted. 0: no "
        "rotation.",
        env="LUNA_LOG_FILE_MB",
        ge=0,
        le=1_000_000,
    )
    multiline_stack_trace: bool = setting(
        True, "Whether the stack trace of a text line has a line for each frame.", env="LUNA_LOG_MULTILINE_STACK_TRACE"
    )
    format: Literal["default", "json", "ecs"] = setting(
        "default",
        "Form of the lines: text, one JSON object per line, or one in the Elastic Common Schema.",
        env="LUNA_LOG_FORMAT",
    )
