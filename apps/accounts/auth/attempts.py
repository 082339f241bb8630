"""The rate limit of logins: attempts are counted before a password is hashed, and uncounted when it was right.

Counted per login and address, and per address alone: a list of logins tried with one password is a guess as well. An
IPv6 address counts as its /64, which is what one client has. All processes share the counts in Redis; while Redis is
away each process counts for itself.
"""

import ipaddress

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
    """The attempts of one login from one address, and of all logins from it."""

    def __init__(self, login: str, address: str | None) -> None:
        place = _place(address)
        self.key = f"luna:failed-logins:{keyed_digest(login, place)}"
        self._keys = [self.key, f"luna:failed-logins:{keyed_digest(place)}"]

    def check(self) -> None:
        """Raise LunaError AUTHORIZATION_FAILED (429) where this login has failed too often from this address."""
        try:
            failures = int(client().get(self.key) or 0)
        except RedisAwayError:
            failures = caches["process"].get(self.key, 0)
        if failures >= config(Logins).failed_logins:
            raise _refusal()

    def begin(self) -> None:
        """Count an attempt. Raise LunaError AUTHORIZATION_FAILED (429) where there were too many already."""
        window_s = config(Logins).failed_logins_window_s
        try:
            counts = client().eval(COUNT, len(self._keys), *self._keys, window_s)
        except RedisAwayError:
            for key in self._keys:
                caches["process"].add(key, 0, window_s)
            counts = [_changed(key, 1) for key in self._keys]
        limits = config(Logins).failed_logins, config(Logins).failed_logins_per_address
        if any(count > limit for count, limit in zip(counts, limits, strict=True)):
            raise _refusal()

    def succeed(self) -> None:
        """Take back what `begin` counted."""
        try:
            client().eval(UNCOUNT, len(self._keys), *self._keys)
        except RedisAwayError:
            for key in self._keys:
                _changed(key, -1)


def _changed(key: str, by: int) -> int:
    try:
        return caches["process"].incr(key, by)
    except ValueError:  # the window closed
        return 0


def _place(address: str | None) -> str:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def _refusal() -> LunaError:
    window_s = config(Logins).failed_logins_window_s
    return LunaError(
        errors.AUTHORIZATION_FAILED,
        f"too many failed logins, try again in {window_s} seconds",
        status=429,
        headers={"Retry-After": str(window_s)},
    )
