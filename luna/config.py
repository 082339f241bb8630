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


@group("LUNA_CONNECTIONS", scope=Scope.START)
class Connections(Settings):
    """What clients may ask of one web process."""

    max_connections: int = setting(
        4096,
        "Open connections, less where the hard limit of open files is lower. The longest idle one makes room for a new "
        "one.",
        env="LUNA_MAX_CONNECTIONS",
        ge=1,
        le=1_000_000,
    )
    queue_length: int = setting(
        512,
        "Requests that wait for a thread. What comes later is answered with 503.",
        env="LUNA_HTTP_QUEUE",
        ge=1,
        le=100_000,
    )
    queue_s: float = setting(
        2.0,
        "Seconds that a request waits for a thread before it is answered with 503; it is not begun.",
        env="LUNA_HTTP_QUEUE_S",
        gt=0,
        le=600,
    )
    body_s: float = setting(600.0, "Seconds in which a body must have arrived.", env="LUNA_BODY_S", gt=0, le=86_400)
