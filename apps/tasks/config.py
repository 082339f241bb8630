"""Settings of background tasks."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator

from apps.common.config import PluginNames, Scope, Settings, group, setting

GIB = 1024**3


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path!r} must be an absolute path without `..`")
    return path


@group("LUNA_TASK_TYPES", scope=Scope.START)
class UserTaskTypes(Settings):
    """User types of background tasks."""

    task_types: PluginNames = setting(
        (),
        "User types of tasks: names of files without `.py` in `plugins/tasks` of the var directory, or names of entry "
        "points of `luna.task_types`.",
        env="LUNA_TASK_TYPES",
        accepts="a list of names, separated by commas",
    )


@group("LUNA_TASKS", scope=Scope.LIVE)
class Tasks(Settings):
    """Background tasks."""

    subtask_threads: int = setting(
        3,
        "Stages of tasks that a worker process executes at a time. Of several threads, the subtasks of one account get "
        "all but one.",
        env="LUNA_SUBTASK_THREADS",
        ge=1,
        le=256,
    )
    max_error_count_per_task: int = setting(
        100_000, "Errors that are stored for one task. Further ones are counted only.", ge=0, le=10_000_000
    )
    default_clustering_threshold: float = setting(
        0.8,
        "Similarity above which clustering joins two objects, if the task has no threshold.",
        env="DEFAULT_CLUSTERING_THRESHOLD",
        ge=0,
        le=1,
    )


@group("LUNA_TASKS_SOURCES", scope=Scope.LIVE)
class Sources(Settings):
    """Sources of pictures of estimator tasks."""

    archive_max_size: int = setting(
        100 * GIB,
        "Largest archive in bytes. An archive at a foreign address also needs free space in the var directory of the "
        "worker.",
        env="ARCHIVE_MAX_SIZE",
        ge=1,
    )
    archive_max_files: int = setting(
        1_000_000,
        "Files in one archive, directories included. The worker needs 700 bytes of memory for each.",
        env="LUNA_TASKS_ARCHIVE_MAX_FILES",
        ge=1,
        le=10_000_000,
    )
    disk_directories: tuple[Annotated[str, AfterValidator(_absolute)], ...] = setting(
        (),
        "Directories of the workers whose pictures all accounts may read with `network_disk`. Default: none.",
        env="LUNA_TASKS_DISK_DIRECTORIES",
        accepts='a JSON array of absolute paths, such as `["/srv/images"]`',
    )
    silence_s: int = setting(
        60,
        "Seconds without an answer after which a source counts as lost.",
        env="LUNA_TASKS_SOURCE_SILENCE_S",
        ge=1,
        le=3600,
    )


@group("LUNA_TASKS_LOAD_EXTERNAL_ARCHIVE_TIMEOUTS", scope=Scope.LIVE)
class ArchiveDownloads(Settings):
    """Time limits, in seconds, of downloads of archives from foreign addresses."""

    connect: int = setting(
        20, "Time until a connection is open. The lower value of it and `sock_connect` applies.", ge=1, le=600
    )
    request: int = setting(100, "Time until the response begins.", ge=1, le=3600)
    sock_connect: int = setting(10, "Time until the socket is connected.", ge=1, le=600)
    sock_read: int = setting(100, "Time without data. The lower value of it and `request` applies.", ge=1, le=3600)


@group("LUNA_SCHEDULES", scope=Scope.LIVE)
class Schedules(Settings):
    """Schedules of background tasks."""

    missed_runs: Literal["once", "skip"] = setting(
        "once",
        "Runs that were missed because the platform was down: `once` creates one task in place of all that a schedule "
        "missed, `skip` creates none.",
    )
    missed_after: float = setting(60.0, "Seconds by which a run must be late to count as missed.", ge=0, le=86_400)
