"""Settings of background tasks."""

from apps.common.config import PluginNames, Scope, Settings, group, setting


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
        "Subtasks that a worker process executes at a time. The last free thread takes no subtask of an account with "
        "others in that process, so that no account occupies all threads.",
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
