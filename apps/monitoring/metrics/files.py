"""The files in which processes count requests. Those of ended processes are merged, because each slows every scrape."""

import fcntl
import logging
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

KINDS = ("counter", "histogram")  # their values are added; other kinds would need other rules
MERGED = 0  # no process has this id
LOCK = "lock"
Counts: Any = MmapedDict  # it has no types


@contextmanager
def reading(directory: Path) -> Iterator[None]:
    """Keep `merge_dead` of other processes out, so that nothing is read twice or not at all."""
    with _locked(directory, fcntl.LOCK_SH):
        yield


def merge_dead(directory: Path) -> None:
    """Add the files of processes that have ended into one. Each costs about 30 ms of CPU time per scrape."""
    with _locked(directory, fcntl.LOCK_EX):
        for kind in KINDS:
            dead = [path for path in sorted(directory.glob(f"{kind}_*.db")) if not _is_running(path)]
            if len(dead) > 1:
                _merge(dead, directory / f"{kind}_{MERGED}.db")


def _merge(paths: Sequence[Path], target: Path) -> None:
    totals: Counter[str] = Counter()
    for path in paths:
        try:
            for key, value, _, _ in Counts.read_all_values_from_file(str(path)):
                totals[key] += value
        except (struct.error, ValueError, RuntimeError):  # its process was killed while it created the file
            logger.warning("Counts of requests in %s cannot be read", path.name)
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    merged = Counts(str(new))
    for key, total in totals.items():
        merged.write_value(key, total, 0.0)
    merged.close()
    new.replace(target)
    for path in paths:
        if path != target:
            path.unlink()


def _is_running(path: Path) -> bool:
    return Path("/proc", path.stem.rpartition("_")[2]).exists()


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    with (directory / LOCK).open("wb") as file:
        fcntl.flock(file, how)
        yield
