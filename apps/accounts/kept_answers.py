"""Responses kept in Redis per `Idempotency-Key`, with a size limit per account and one for all accounts.

At a limit, the oldest responses are removed first, because clients repeat recent requests. While Redis is unavailable
or full, responses wait in this process and are written as soon as possible.
"""

import logging
import threading
import time
from typing import Any
from uuid import UUID, uuid4

import ormsgpack

from apps.accounts.config import KeptAnswers
from apps.common.config import config
from apps.common.process import PerProcess
from apps.common.redis_client import RedisAwayError, client

logger = logging.getLogger(__name__)

KEY = "luna:idempotency:{}:{}"
ORDER, HELD = "luna:idempotency-order:{}", "luna:idempotency-bytes:{}"
ALL = "all"
LIFETIME_S = 24 * 3600
# Lease of a key while its request runs; also after its process has died.
LEASE_S = 900
OVERHEAD_BYTES = 400  # of Redis per response
ID_CHARACTERS = 32
AT_WORK = "at work"

# Stores a response, and removes the oldest of its account and of all accounts until both limits hold. A value starts
# with its id, so that removing an old response does not remove the new response of the same key.
KEEP = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
for place = 2, 4, 2 do
    redis.call('RPUSH', KEYS[place], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. KEYS[1])
    local held = redis.call('INCRBY', KEYS[place + 1], ARGV[4])
    while held > tonumber(ARGV[4 + place / 2]) do
        local oldest = redis.call('LPOP', KEYS[place])
        if not oldest then break end
        local id, size, name = string.match(oldest, '^(%S+) (%d+) (%S+)$')
        if redis.call('GETRANGE', name, 0, #id - 1) == id then redis.call('DEL', name) end
        held = redis.call('DECRBY', KEYS[place + 1], size)
    end
    redis.call('EXPIRE', KEYS[place], ARGV[2])
    redis.call('EXPIRE', KEYS[place + 1], ARGV[2])
end
"""
# Releases a key only if this request holds it.
FREE = "if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Claim:
    """The lease of a request on its key."""

    def __init__(self, account_id: UUID, key_hash: str) -> None:
        self.account_id, self.name = account_id, KEY.format(account_id, key_hash)
        self.id = uuid4().hex

    def take(self, asked: bytes) -> dict[str, Any] | None:
        """Take the lease and return None, or return the record of the key's request. Raises RedisAwayError."""
        if (known := late().find(self.name)) is not None:
            return known
        mine = _packed(self.id, {"asked": asked, "state": AT_WORK})
        while True:
            if client().set(self.name, mine, ex=LEASE_S, nx=True):
                return None
            value: Any = client().get(self.name)
            if value == mine:  # the connection was lost after the first attempt
                return None
            if value is not None:  # None: released in between
                return _unpacked(value)

    def keep(self, known: dict[str, Any]) -> None:
        """Store the outcome of the request, at once or as soon as Redis accepts it."""
        value = _packed(self.id, known)
        try:
            self._write(value)
        except RedisAwayError as error:
            logger.warning("A response of an Idempotency-Key waits for Redis: %s", error.detail)
            late().add(self, value)

    def free(self) -> None:
        """Release the key of a failed request. While Redis is unavailable, it stays taken until the lease ends."""
        try:
            client().eval(FREE, 1, self.name, self.id)
        except RedisAwayError as error:
            logger.warning("An Idempotency-Key stays taken for %d s: %s", LEASE_S, error.detail)

    def _write(self, value: bytes) -> None:
        size = len(value) + len(self.name) + OVERHEAD_BYTES
        keys = [template.format(whose) for whose in (self.account_id, ALL) for template in (ORDER, HELD)]
        bounds = config(KeptAnswers).account_max_size, config(KeptAnswers).max_size
        client().eval(KEEP, 5, self.name, *keys, value, LIFETIME_S, self.id, size, *bounds)


class LateAnswers:
    """Responses of this process that Redis did not accept; a thread retries them every second."""

    MAX_ANSWERS = 1000
    PAUSE_S = 1.0

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Claim, bytes]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, claim: Claim, value: bytes) -> None:
        """Queue a response until Redis accepts it. Beyond `MAX_ANSWERS` it is dropped; the lease remains."""
        with self._lock:
            if len(self._waiting) < self.MAX_ANSWERS:
                self._waiting[claim.name] = claim, value
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="late-answers", daemon=True)
                self._thread.start()

    def find(self, name: str) -> dict[str, Any] | None:
        found = self._waiting.get(name)
        return None if found is None else _unpacked(found[1])

    def status(self) -> dict[str, object]:
        """Return the number of waiting responses and its limit."""
        return {"waiting": len(self._waiting), "max_waiting": self.MAX_ANSWERS}

    def _run(self) -> None:
        while True:
            time.sleep(self.PAUSE_S)
            for name, (claim, value) in tuple(self._waiting.items()):
                try:
                    claim._write(value)
                except RedisAwayError:
                    break
                self._waiting.pop(name, None)
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return


late = PerProcess("late answers", LateAnswers, status=LateAnswers.status)


def answers_count(account_id: UUID) -> dict[str, int]:
    """Return the number of an account's kept responses. Raises RedisAwayError."""
    return {"kept responses": int(client().llen(ORDER.format(account_id)))}


def answers_forget(account_id: UUID) -> None:
    """Remove the kept responses of an account, because they may name the person to erase."""
    for name in client().scan_iter(KEY.format(account_id, "*"), count=500):
        client().delete(name)
    client().delete(ORDER.format(account_id), HELD.format(account_id))


def _packed(claim_id: str, known: dict[str, Any]) -> bytes:
    return claim_id.encode() + ormsgpack.packb(known)


def _unpacked(value: bytes) -> dict[str, Any]:
    return dict(ormsgpack.unpackb(value[ID_CHARACTERS:]))
