"""The embedded services of a var directory: PostgreSQL and Redis, unless a URL names an external one."""

from pathlib import Path
from types import ModuleType

from luna.embedded import postgres, redis
from luna.embedded.addresses import embeds_postgres, embeds_redis
from luna.embedded.processes import locked


def embedded() -> dict[str, ModuleType]:
    """Return name and module of each embedded service."""
    services: dict[str, ModuleType] = {}
    if embeds_postgres():
        services["postgres"] = postgres
    if embeds_redis():
        services["redis"] = redis
    return services


def start(var: Path) -> list[str]:
    """Start the services that do not run, wait for all, and return the names of those started. Raises EmbeddedError."""
    with locked(var, "services"):
        started = [name for name, service in embedded().items() if service.running_pid(var) is None]
        for service in embedded().values():
            service.start(var)
    return started


def stop(var: Path) -> list[str]:
    """Stop the running services and return their names."""
    with locked(var, "services"):
        running = {name: service for name, service in embedded().items() if service.running_pid(var) is not None}
        for service in running.values():
            service.stop_server(var)
    return list(running)
