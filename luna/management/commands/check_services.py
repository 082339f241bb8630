"""`manage.py check_services`: check the external PostgreSQL and Redis before the platform starts."""

from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
from django.core.management.base import BaseCommand, CommandError
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.common.config import Services, config
from luna.embedded.addresses import embeds_postgres, embeds_redis

TIMEOUT_S = 5
OLDEST_POSTGRES = 14
OLDEST_PGVECTOR = (0, 8)
OLDEST_REDIS = (6, 2)
INSTALLED = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
AVAILABLE = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"


class Command(BaseCommand):
    help = "Check that the services of DATABASE_URL and REDIS_URL can be used; create pgvector in the database."
    requires_system_checks: list[str] = []  # some of them need the services

    def handle(self, *args: Any, **options: Any) -> None:
        """Raise CommandError with one sentence that names the variable, the service and the reason."""
        if not embeds_postgres():
            check_postgres(config(Services).database_url.get_secret_value())
        if not embeds_redis():
            check_redis(config(Services).redis_url.get_secret_value())


def check_postgres(url: str) -> None:
    """Connect, and ensure pgvector. Raises CommandError."""
    service = f"DATABASE_URL: PostgreSQL at {place(url)}"
    try:
        with psycopg.connect(libpq_url(url), connect_timeout=TIMEOUT_S, autocommit=True) as connection:
            major = connection.info.server_version // 10_000
            if major < OLDEST_POSTGRES:
                raise CommandError(f"{service} is version {major}: version {OLDEST_POSTGRES} or later is needed.")
            if connection.execute(AVAILABLE).fetchone() is None:
                raise CommandError(
                    f"{service} has no pgvector: install the package of pgvector for PostgreSQL {major} on its server."
                )
            try:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            except psycopg.Error as error:
                raise CommandError(
                    f"{service} does not let this user create pgvector ({first_line(error)}): run `CREATE EXTENSION "
                    "vector` in this database as a superuser."
                ) from None
            found = str((connection.execute(INSTALLED).fetchone() or ("0",))[0])
            if numbers(found) < OLDEST_PGVECTOR:
                raise CommandError(f"{service} has pgvector {found}: version 0.8 or later is needed.")
    except psycopg.Error as error:
        raise CommandError(f"{service} cannot be used: {first_line(error)}") from None


def check_redis(url: str) -> None:
    """Ask Redis for its version. Raises CommandError."""
    service = f"REDIS_URL: Redis at {place(url)}"
    timeouts = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    try:
        with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **timeouts) as client:
            answer: Any = client.info("server")
    except (redis.RedisError, OSError, ValueError) as error:
        raise CommandError(f"{service} cannot be used: {first_line(error)}") from None
    version = str(answer.get("redis_version", "0"))
    if numbers(version) < OLDEST_REDIS:
        raise CommandError(f"{service} is version {version}: version 6.2 or later is needed.")


def place(url: str) -> str:
    """Return host, port and database of a URL, without login and password."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def libpq_url(url: str) -> str:
    """Return the URL with the scheme that libpq knows."""
    return f"postgresql://{url.partition('://')[2]}"


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (0, 8) for `0.8.1`."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def first_line(error: Exception) -> str:
    words = str(error).strip().splitlines()
    return words[0].rstrip(".") if words else type(error).__name__
