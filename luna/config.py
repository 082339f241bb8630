"""Settings of the platform's processes and connections. `luna.embedded` reads the same variables without Django."""

from apps.common.config import Scope, Settings, group, setting
from luna.embedded import defaults
from luna.embedded.listeners import SERVICES, split_hosts


@group("LUNA_PROCESSES", scope=Scope.START, stored=False)
class Processes(Settings):
    """Processes that `make up` starts. Each web process holds one recognition engine in memory."""

    host: str = setting(
        defaults.HOST,
        "The addresses that the web processes listen on, separated by commas. `::` is every address, IPv4 included.",
        env="LUNA_HOST",
    )
    port: int = setting(
        defaults.PORT, "The port that the web processes listen on.", env="LUNA_PORT", ge=1, le=defaults.MAX_PORT
    )
    admin_port: int = setting(
        0,
        "A further port, with the resources of Admin only: `/4`, the admin site, its documentation, version and "
        "health. 0: none, because `LUNA_PORT` has all resources. Clients of LUNA PLATFORM use 5010.",
        env="LUNA_ADMIN_PORT",
        ge=0,
        le=defaults.MAX_PORT,
    )
    configurator_port: int = setting(
        0,
        "A further port, with the resources of the Configurator only: `/1`, the admin site, version and health. "
        "0: none, because `LUNA_PORT` has all resources. Clients of LUNA PLATFORM use 5070.",
        env="LUNA_CONFIGURATOR_PORT",
        ge=0,
        le=defaults.MAX_PORT,
    )
    sender_port: int = setting(
        0,
        "A further port, with the resources of the Sender only: `/1/ws`, `/6/ws`, tickets, version and health. 0: "
        "none, because `LUNA_PORT` has all resources. Clients of LUNA PLATFORM use 5080.",
        env="LUNA_SENDER_PORT",
        ge=0,
        le=defaults.MAX_PORT,
    )
    workers: int = setting(defaults.WORKERS, "Web processes.", env="LUNA_WORKERS", ge=1, le=defaults.MAX_PROCESSES)
    http_threads: int = setting(
        defaults.HTTP_THREADS,
        "HTTP threads of one web process. Each handles one request at a time and keeps a database connection. Half of "
        "them are for requests with pictures.",
        env="LUNA_HTTP_THREADS",
        ge=1,
        le=defaults.MAX_PROCESSES,
    )
    task_threads: int = setting(
        defaults.TASK_THREADS, "Threads of the Celery worker.", env="LUNA_TASK_THREADS", ge=1, le=defaults.MAX_PROCESSES
    )
    redis_maxmemory: str = setting(
        defaults.REDIS_MAXMEMORY,
        "Memory limit of the embedded Redis. At the limit it refuses writes and evicts nothing.",
        env="LUNA_REDIS_MAXMEMORY",
        accepts="a size such as 256mb or 1gb",
        pattern=defaults.REDIS_MAXMEMORY_PATTERN,
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of `host`."""
        return split_hosts(self.host)

    @property
    def urls(self) -> dict[int, str]:
        """The URL modules of the ports that have some of the resources only."""
        ports = {name: getattr(self, f"{name}_port") for name in SERVICES}
        return {port: f"luna.urls.{name}" for name, port in ports.items() if port}


@group("LUNA_CONNECTIONS", scope=Scope.START)
class Connections(Settings):
    """Limits of client connections to one web process."""

    max_connections: int = setting(
        4096,
        "Open connections; a lower hard limit of open files lowers it. At the limit, the connection that has been "
        "idle longest is closed.",
        env="LUNA_MAX_CONNECTIONS",
        ge=1,
        le=1_000_000,
    )
    queue_length: int = setting(
        512,
        "Requests that wait for a thread. Further requests are answered with 503.",
        env="LUNA_HTTP_QUEUE",
        ge=1,
        le=100_000,
    )
    queue_s: float = setting(
        2.0,
        "Seconds that a request may wait for a thread; it is then answered with 503 and not processed.",
        env="LUNA_HTTP_QUEUE_S",
        gt=0,
        le=600,
    )
    body_s: float = setting(
        600.0, "Seconds within which a request body must arrive.", env="LUNA_BODY_S", gt=0, le=86_400
    )


@group("LUNA_DATABASE", scope=Scope.START)
class Database(Settings):
    """Time limits of a request's database statements. A request that exceeds one is answered with 503."""

    statement_timeout_s: float = setting(
        30.0, "Seconds that a statement may run.", env="LUNA_STATEMENT_TIMEOUT_S", gt=0, le=86_400
    )
    lock_timeout_s: float = setting(
        10.0, "Seconds that a statement may wait for a lock.", env="LUNA_LOCK_TIMEOUT_S", gt=0, le=86_400
    )
