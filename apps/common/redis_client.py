"""The Redis client of the rooms and of Django's cache. The channel layer uses its own clients.

If Redis is unreachable, hangs or is full, calls raise LunaError REDIS_DISCONNECTED (status 503). After two timeouts in
a row the circuit breaker rejects calls for a second, so that a hanging Redis does not block each request for 2 s.
"""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, OutOfMemoryError, ReadOnlyError, ResponseError, TimeoutError
from redis.retry import Retry

from apps.common import errors
from apps.common.breaker import AwayError, Breaker
from apps.common.config import Services, config
from apps.common.errors import LunaError
from apps.common.process import PerProcess

RETRY_AFTER_S = 1
AWAY = (ConnectionError, TimeoutError)
REFUSED = (OutOfMemoryError, ReadOnlyError)
# redis-py's default is three retries with backoff. One retry suffices for a connection that Redis has closed.
CONNECTION: dict[str, Any] = {
    "socket_timeout": 2.0,
    "socket_connect_timeout": 1.0,
    "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
}


class RedisAwayError(LunaError):
    """Redis is unavailable: REDIS_DISCONNECTED."""

    def __init__(self, *problem: object) -> None:
        super().__init__(errors.REDIS_DISCONNECTED, *problem, headers={"Retry-After": str(RETRY_AFTER_S)})


def _is_failure(error: BaseException) -> bool | None:
    if isinstance(error, AWAY):
        return True
    return False if isinstance(error, ResponseError) else None


def _breaker() -> Breaker:
    return Breaker(at_once=256, failures=2, pause_s=RETRY_AFTER_S, patience_s=2.0, is_failure=_is_failure)


breaker = PerProcess("redis breaker", _breaker, status=Breaker.status)


class Client(redis.Redis):
    """A client that raises RedisAwayError when Redis does not answer, is full or is read-only."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            with breaker().guard():
                return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (*AWAY, AwayError) as error:
            raise RedisAwayError from error
        except ResponseError as error:
            if isinstance(error, REFUSED) or "-OOM" in str(error):  # the latter of a script
                raise RedisAwayError("it refuses writes") from error
            raise


client = PerProcess(
    "redis", lambda: Client.from_url(config(Services).redis_url.get_secret_value(), **CONNECTION), close=Client.close
)
