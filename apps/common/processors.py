"""The processors that this process may use, by its affinity and CPU quota, and the priority of its threads."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_processors() -> int:
    """Return the number of processors for this process, at least 1. A quota of 1.5 processors counts as 2."""
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([present, *map(math.ceil, quotas())]))


def quotas(mounted: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> Iterator[float]:
    """Yield the CPU quotas of this process's control group and of those around it, in processors.

    Version 2: `cpu.max` holds quota and period in µs, or `max`. Version 1: `cpu.cfs_quota_us` and `cpu.cfs_period_us`,
    -1 without quota. In a container, the path of the group may be the host's: missing directories are skipped.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for directory in _upwards(mounted, path):
                yield from _quota(directory, "cpu.max")
        elif "cpu" in controllers.split(","):
            for root in (mounted / controllers, mounted / "cpu"):
                for directory in _upwards(root, path):
                    yield from _quota(directory, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _upwards(root: Path, path: str) -> Iterator[Path]:
    directory = root / path.strip("/")
    yield directory
    while directory != root:
        directory = directory.parent
        yield directory


def _quota(directory: Path, *files: str) -> Iterator[float]:
    with suppress(OSError, ValueError):
        quota, period = " ".join((directory / file).read_text() for file in files).split()
        if quota != "max" and int(quota) > 0:
            yield int(quota) / int(period)


def lower_priority(niceness: int) -> None:
    """Set the niceness of the calling thread, if it is lower. Linux only: elsewhere it would apply to the process."""
    if niceness <= 0 or not hasattr(os, "sched_getaffinity"):
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))
    except OSError as error:
        logger.warning("the priority of recognition in tasks cannot be lowered: %s", error)
