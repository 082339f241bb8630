"""Django's Redis cache with a persistent client.

Django creates a client per command, which takes three times as long as the command itself.
"""

from typing import Any

from django.core.cache.backends import redis

from apps.common.redis_client import CONNECTION, Client


class _Client(redis.RedisCacheClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | CONNECTION)
        self._client = Client
        self._kept: dict[bool, Any] = {}

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        if write not in self._kept:
            self._kept[write] = super().get_client(key, write=write)
        return self._kept[write]


class RedisCache(redis.RedisCache):
    """A cache on one server, whose URL is `LOCATION`. Raises RedisAwayError as `redis_client.Client` does."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _Client
