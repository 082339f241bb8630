"""The rate limit of logins. An attempt is counted before its password is hashed, and uncounted if it succeeds.

Two counters apply: one per login and address, and one per address against attempts with many logins. An IPv6 address
counts as its /64 prefix, the usual assignment of one client. All processes share the counters in Redis; while Redis is
unavailable, each process counts for itself.
"""

import ipaddress
from functools import lru_cache

from django.core.cache import caches

from apps.accounts.auth.digest import keyed_digest
from apps.accounts.config import Logins
from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.redis_client import RedisAwayError, client

COUNT = """
local counts = {}
for place, key in ipairs(KEYS) do
    counts[place] = redis.call('INCR', key)
    if counts[place] == 1 then redis.call('EXPIRE', key, ARGV[1]) end
end
return counts
"""
UNCOUNT = """
for _, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) == 1 then redis.call('DECR', key) end
end
"""


class Attempts:
    """The counters of a login from an address, and of all logins from that address."""

    def __init__(self, login: str, address: str | None) -> None:
        self.address = address
        self._keys = _keys(login, address)
        self.key = self._keys[0]
        self._counts = [0, 0]

    @property
    def reached_limit(self) -> bool:
        """Whether this attempt is the last one of its login and address that is allowed within the window."""
        return self._counts[0] == config(Logins).failed_logins

    @property
    def reached_address_limit(self) -> bool:
        """Whether this attempt is the last one of its address that is allowed within the window."""
        return self._counts[1] == config(Logins).failed_logins_per_address

    def check(self) -> None:
        """Check the limit of login and address. Raises LunaError AUTHORIZATION_FAILED (429) when it is exceeded."""
        if _count(self.key) >= config(Logins).failed_logins:
            raise _refusal()

    def check_address(self) -> None:
        """Check the limit of the address. Raises LunaError AUTHORIZATION_FAILED (429) when it is exceeded."""
        if _count(self._keys[1]) >= config(Logins).failed_logins_per_address:
            raise _refusal()

    def begin(self) -> None:
        """Count an attempt. Raises LunaError AUTHORIZATION_FAILED (429) when a limit is exceeded."""
        self._counts = count(*self._keys, window_s=config(Logins).failed_logins_window_s)
        limits = config(Logins).failed_logins, config(Logins).failed_logins_per_address
        if any(number > limit for number, limit in zip(self._counts, limits, strict=True)):
            raise _refusal()

    def succeed(self) -> None:
        """Uncount the attempt that `begin` counted."""
        try:
            client().eval(UNCOUNT, len(self._keys), *self._keys)
        except RedisAwayError:
            for key in self._keys:
                _changed(key, -1)


def _count(key: str) -> int:
    try:
        return int(client().get(key) or 0)
    except RedisAwayError:
        return int(caches["process"].get(key, 0))


def count(*keys: str, window_s: int) -> list[int]:
    """Count one event per key and return the numbers of events since the start of each key's window."""
    try:
        return [int(number) for number in client().eval(COUNT, len(keys), *keys, window_s)]
    except RedisAwayError:
        for key in keys:
            caches["process"].add(key, 0, window_s)
        return [_changed(key, 1) for key in keys]


@lru_cache(1024)
def _keys(login: str, address: str | None) -> tuple[str, str]:
    place = place_of(address)
    return f"luna:failed-logins:{keyed_digest(login, place)}", f"luna:failed-logins:{keyed_digest(place)}"


def _changed(key: str, by: int) -> int:
    try:
        return caches["process"].incr(key, by)
    except ValueError:  # the window has ended
        return 0


def place_of(address: str | None) -> str:
    """Return the place that counts as one client: an IPv4 address, or the /64 prefix of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def _refusal() -> LunaError:
    window_s = config(Logins).failed_logins_window_s
    return LunaError(
        errors.AUTHORIZATION_FAILED,
        f"too many failed logins, retry after {window_s} seconds",
        status=429,
        headers={"Retry-After": str(window_s)},
    )
