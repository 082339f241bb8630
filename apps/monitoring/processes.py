"""Status of all processes of the platform: each publishes its own in Redis, where every process can read them.

The status is the numbers and texts of the per-process objects (`common/process.py`): no data of accounts.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from apps.common.errors import LunaError
from apps.common.process import PerProcess, Status, status
from apps.common.redis_client import client

logger = logging.getLogger(__name__)

INTERVAL_S = 5.0
LIFETIME_S = 20  # of a published status: of a process that was killed it is shown so long
NAMES = "luna:processes"
KEY = "luna:process:{}"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """Status of one process. `objects`: the status of its per-process objects, by their names."""

    name: str
    age_s: float
    objects: Mapping[str, Status]


def publish(role: str) -> None:
    """Publish the status of this process. `role`: for operators, such as `web`."""
    name = f"{role} {socket.gethostname()}:{os.getpid()}"
    objects = {each: found for each, found in status().items() if found}
    value = orjson.dumps({"time": time.time(), "objects": objects}, default=str)
    with client().pipeline(transaction=False) as pipeline:
        pipeline.set(KEY.format(name), value, ex=LIFETIME_S)
        pipeline.sadd(NAMES, name)
        pipeline.execute()


def processes() -> list[ProcessStatus]:
    """Return what all processes have published, ordered by name; nothing while Redis is away."""
    try:
        members: set[Any] = client().smembers(NAMES)
        names = sorted(name.decode() for name in members)
        values: list[Any] = client().mget([KEY.format(name) for name in names]) if names else []
        gone = [name for name, value in zip(names, values, strict=True) if value is None]
        if gone:
            client().srem(NAMES, *gone)
    except LunaError:
        return []
    found = [(name, orjson.loads(value)) for name, value in zip(names, values, strict=True) if value is not None]
    return [ProcessStatus(name, max(0.0, time.time() - each["time"]), each["objects"]) for name, each in found]


def require_process(role: str) -> None:
    """Check that a process of a role has published its status. Raises RuntimeError, and LunaError without Redis."""
    client().ping()
    if not any(each.name.partition(" ")[0] == role for each in processes()):
        raise RuntimeError(f"no process of the role {role} has published its status for {LIFETIME_S} s")


class Publisher:
    """A thread that publishes the status of this process until it is closed."""

    def __init__(self) -> None:
        self.role = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self, role: str) -> None:
        self.role = role
        resources()
        self._thread.start()

    def _run(self) -> None:
        away = False
        while not self._stop.is_set():
            try:
                publish(self.role)
                away = False
            except Exception:  # Redis is away: the next attempt is in a few seconds
                if not away:
                    logger.warning("The status of this process cannot be published", exc_info=True)
                away = True
            self._stop.wait(INTERVAL_S)

    def close(self) -> None:
        self._stop.set()


publisher = PerProcess("status publisher", Publisher, close=Publisher.close)


def _resources(started_at: float) -> Status:
    """Return CPU time, resident memory, open files, threads and start of this process."""
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "cpu_s": time.process_time(),
        "resident_bytes": resident_pages * os.sysconf("SC_PAGE_SIZE"),
        "open_files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "start_time": started_at,
    }


resources = PerProcess("process", time.time, status=_resources)
