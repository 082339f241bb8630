"""Settings of the platform's processes. `luna.embedded` reads the same variables without Django."""

from apps.common.config import Scope, Settings, group, setting
from luna.embedded import defaults


@group("LUNA_PROCESSES", scope=Scope.START)
class Processes(Settings):
    """Processes that `make up` starts. Each web process has an engine in memory."""

    host: str = setting(defaults.HOST, "The address that web listens on.", env="LUNA_HOST")
    port: int = setting(defaults.PORT, "The port that web listens on.", env="LUNA_PORT", ge=1, le=defaults.MAX_PORT)
    workers: int = setting(defaults.WORKERS, "Web processes.", env="LUNA_WORKERS", ge=1, le=defaults.MAX_PROCESSES)
    http_threads: int = setting(
        defaults.HTTP_THREADS,
        "Requests that a web process handles at a time; each thread keeps a database connection.",
        env="LUNA_HTTP_THREADS",
        ge=1,
        le=defaults.MAX_PROCESSES,
    )
    task_threads: int = setting(
        defaults.TASK_THREADS, "Threads of the Celery worker.", env="LUNA_TASK_THREADS", ge=1, le=defaults.MAX_PROCESSES
    )
    redis_maxmemory: str = setting(
        defaults.REDIS_MAXMEMORY,
        "Memory of the embedded Redis; it refuses to write when full, for what it holds is data.",
        env="LUNA_REDIS_MAXMEMORY",
        accepts="a size such as 256mb or 1gb",
        pattern=defaults.REDIS_MAXMEMORY_PATTERN,
    )
