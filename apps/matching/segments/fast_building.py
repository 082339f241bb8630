"""The builder of fast codes: it works in the background on the segments that the builder of lists has written.

It needs no database. A list is matched exactly until its codes are complete. A crash loses the unfinished codes only.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from apps.common.config import config
from apps.common.descriptors import versions
from apps.common.locks import file_lock
from apps.common.process import PerProcess, Status
from apps.matching.config import DescriptorsCache, MatchingSpeed
from apps.matching.segments.fast_files import fast_described, fast_path, fast_write
from apps.matching.segments.fast_making import MIN_ROWS, fast_make
from apps.matching.segments.fast_wanted import wants_fast
from apps.matching.segments.files import (
    FAST_STATE,
    FAST_SUFFIX,
    MANIFEST,
    Manifest,
    SegmentError,
    SegmentFile,
    manifest_read,
    replaced,
    segment_open,
    segments_root,
    writing,
)

logger = logging.getLogger(__name__)

LOCK = "fast.lock"
MIN_ROWS_OF_TAIL = 20_000  # later segments with fewer rows are compared completely, in less than a millisecond
AGAIN_AFTER_S = 600.0  # a failed attempt is repeated
KNOWN_SIMILARITY = 0.8  # of the new descriptors of known people that recall is measured with
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class FastState:
    """Progress of the codes of a list: `building` or `failed`, and the coded share of the rows, 0..1."""

    state: str
    done: float
    error: str = ""


class FastBuilder:
    """Makes and deletes the fast codes of all lists as the settings and commands want."""

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.root, self._clock = root, clock
        self._failed: dict[str, float] = {}  # segment: time of the failure

    def step(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Bring the fast codes of all lists up to date. The error of a list leaves the other lists alone."""
        for path in sorted(self.root.glob(f"*/{MANIFEST}")):
            with suppress(SegmentError, FileNotFoundError):  # the builder of lists makes it anew
                self._update(path.parent, manifest_read(path.parent), stopped)

    def _update(self, directory: Path, manifest: Manifest, stopped: Callable[[], bool]) -> None:
        if not wants_fast(self.root, UUID(manifest.list_id), manifest.rows):
            for path in (*directory.glob(f"*{FAST_SUFFIX}"), directory / FAST_STATE):
                path.unlink(missing_ok=True)
            return
        for place, file in enumerate(manifest.files):
            if stopped():
                return
            failed_s = self._failed.get(file.name)
            tried = failed_s is not None and self._clock() - failed_s < AGAIN_AFTER_S
            if file.rows >= (MIN_ROWS_OF_TAIL if place else MIN_ROWS) and not tried and not _is_made(directory, file):
                self._make(directory, manifest, file)

    def _make(self, directory: Path, manifest: Manifest, file: SegmentFile) -> None:
        started = time.monotonic()
        try:
            _state_write(directory, FastState("building", 0.0))
            segment = segment_open(directory, file, manifest.version, manifest.dimension).segment
            known_cosine = min(0.95, max(0.3, versions.get(manifest.version).calibration.cosine(KNOWN_SIMILARITY)))
            made = fast_make(
                segment,
                target=config(MatchingSpeed).recall,
                known_cosine=known_cosine,
                progress=lambda share: _state_write(directory, FastState("building", share)),
            )
            with writing(self.root):  # an erasure or a merge may have deleted the segment
                if file not in manifest_read(directory).files:
                    return
                path = fast_path(directory, file.name)
                described = fast_write(path, made, rows=file.rows, known_cosine=known_cosine)
            (directory / FAST_STATE).unlink(missing_ok=True)
            logger.info(
                "List %s has fast codes: %d rows in %.0f s, %s",
                manifest.list_id,
                file.rows,
                time.monotonic() - started,
                described.recall,
            )
        except (SegmentError, FileNotFoundError):  # the builder of lists makes the segment anew
            return
        except Exception as error:  # of FAISS, of the disk: the list is matched exactly
            self._failed[file.name] = self._clock()
            logger.exception("List %s gets no fast codes", manifest.list_id)
            with suppress(OSError):
                _state_write(directory, FastState("failed", 0.0, type(error).__name__))


def state_of(directory: Path) -> FastState | None:
    """Return the progress of a list's fast codes, None if none are being made."""
    try:
        return FastState(**json.loads((directory / FAST_STATE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _state_write(directory: Path, state: FastState) -> None:
    with replaced(directory / FAST_STATE) as file:
        file.write(json.dumps(asdict(state)).encode())


def _is_made(directory: Path, file: SegmentFile) -> bool:
    try:
        return fast_described(fast_path(directory, file.name)).rows == file.rows
    except (SegmentError, FileNotFoundError):
        return False


def fast_lock(root: Path) -> AbstractContextManager[bool]:
    """Hold the lock of the only builder of fast codes; yield whether it is held."""
    return file_lock(root / LOCK)


class Running:
    """A thread that makes fast codes until it is closed, if no other process does."""

    def __init__(self) -> None:
        self.builder = FastBuilder(segments_root())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fast-codes-builder", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with fast_lock(self.builder.root) as held:
                    while held and not self._stop.is_set():
                        self.builder.step(self._stop.is_set)
                        self._stop.wait(config(DescriptorsCache).updating_cache_interval)
            except Exception:
                logger.exception("Fast codes cannot be made")
            self._stop.wait(config(DescriptorsCache).updating_cache_interval)

    def close(self) -> None:
        """Stop after the current list. Codes that take longer end with the process, which loses nothing else."""
        self._stop.set()
        self._thread.join(timeout=STOP_S)

    def status(self) -> Status:
        return {"building": sum(1 for path in self.builder.root.glob(f"*/{FAST_STATE}") if path.exists())}


fast_running = PerProcess("fast codes builder", Running, close=Running.close, status=Running.status)


def fast_build_once() -> bool:
    """Make all fast codes in this process; return False if another process is the builder."""
    with fast_lock(segments_root()) as held:
        if held:
            FastBuilder(segments_root()).step()
    return held
