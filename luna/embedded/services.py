"""The services of a var directory: those of PostgreSQL and Redis that no URL names."""

from pathlib import Path
from types import ModuleType

from luna.embedded import postgres, redis
from luna.embedded.addresses import embeds_postgres, embeds_redis
from luna.embedded.processes import locked


def embedded() -> dict[str, ModuleType]:
    """Name and module of every service that is ours to run."""
    services: dict[str, ModuleType] = {}
    if embeds_postgres():
        services["postgres"] = postgres
    if embeds_redis():
        services["redis"] = redis
    return services


def start(var: Path) -> list[str]:
    """Start what does not run yet and wait for it; the names of what was started. Raises EmbeddedError."""
    with locked(var, "services"):
        started = [name for name, service in embedded().items() if service.running_pid(var) is None]
        for service in embedded().values():
            service.start(var)
    return started


def stop(var: Path) -> list[str]:
    """Stop what runs; the names of what was stopped."""
    with locked(var, "services"):
        running = {name: service for name, service in embedded().items() if service.running_pid(var) is not None}
        for service in running.values():
            service.stop_server(var)
    return list(running)
