"""Checks of URLs in settings."""

from functools import cache
from urllib.parse import urlsplit

from pydantic import SecretStr

from apps.common.config.prefix import parse_prefix

DATABASE_SCHEMES = ("postgres://", "postgresql://", "pgsql://", "psql://", "postgis://")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


@cache
def path_of(url: str) -> str:
    return urlsplit(url).path


def checked_address(url: str) -> str:
    """Return the platform's address without trailing slashes. Raises ValueError for a path that needs escapes."""
    if parse_prefix(path_of(url)) is None:
        raise ValueError("the path has characters that need escapes")
    return url.rstrip("/")


def checked_database_url(url: SecretStr) -> SecretStr:
    """Return the URL. Raises ValueError as `_service_url` does, and without the name of a database."""
    if not urlsplit(_service_url(url, DATABASE_SCHEMES).get_secret_value()).path.strip("/"):
        raise ValueError("no database")
    return url


def checked_redis_url(url: SecretStr) -> SecretStr:
    """Return the URL. Raises ValueError as `_service_url` does."""
    return _service_url(url, REDIS_SCHEMES)


def _service_url(url: SecretStr, schemes: tuple[str, ...]) -> SecretStr:
    """Return the URL. Raises ValueError for another scheme, a missing address or an invalid port."""
    text = url.get_secret_value()
    parts = urlsplit(text)
    if not text.startswith(schemes) or not parts.netloc + parts.path or parts.port == 0:  # `port` may raise ValueError
        raise ValueError("unknown scheme, no address or an invalid port")
    return url
