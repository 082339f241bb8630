"""Redis as the rooms use it directly; caches and websockets have clients of their own libraries."""

from functools import cache

import redis
from django.conf import settings


@cache
def client() -> redis.Redis:
    """This process's pool of connections."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10, health_check_interval=30)
