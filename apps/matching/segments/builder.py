"""The builder of segments: one per var directory, it writes what all processes map.

It follows the lists of the database, appends changes as small segments, and merges them from time to time. A crash at
any point leaves the last complete manifest, or none; then the database answers until the list is built anew.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from apps.common.config import config
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.common.locks import file_lock
from apps.faces.changes import (
    GapError,
    Keys,
    ListKeys,
    changes_purge,
    cluster,
    decide,
    delta,
    described_count,
    lists_of_at_least,
    rows_copied,
    snapshot,
)
from apps.matching.config import DescriptorsCache
from apps.matching.segments.codes import (
    HEAD_SHARE,
    MIN_DIMENSION_OF_HEAD,
    MIN_ROWS_OF_HEAD,
    Basis,
    CodedRows,
    Floats,
    basis_of,
    encode,
)
from apps.matching.segments.fast_wanted import fast_bytes_per_row, forget_deleted, wants_fast
from apps.matching.segments.files import (
    MANIFEST,
    OUTGROWN,
    Manifest,
    MappedSegment,
    SegmentError,
    directory_of,
    manifest_read,
    manifest_write,
    remove_others,
    segment_write,
    segments_open,
    segments_root,
    writing,
)

logger = logging.getLogger(__name__)

LOCK = "builder.lock"
ARRAYS = ("codes", "head", "scale", "residual", "tail")
BATCH_ROWS = 16_384
SAMPLE_ROWS = 25_000  # of a list, from which the principal components are computed
TAIL_ROWS = 1000  # changes that are written at once
TAIL_AFTER_S = 30.0  # time after which fewer are written
MAX_TAIL_ROWS = 50_000  # more changes are faster read as a whole list
MAX_FILES = 8  # tails are merged above this number
MERGE_SHARE = 0.1  # of a list in tails or removed, above which all is merged
FAILURES = 2  # in a row, after which a list is tried again after PAUSE_S only: an attempt may read the whole list
PAUSE_S = 60.0
FORGET_AFTER_S = 3600.0  # age of the oldest segment from which codes of removed faces must leave the disk
MARK_AFTER_S = 3600.0  # time after which the mark of an unchanged list is renewed: the log is kept for a day
BYTES_PER_ROW = 28  # beside the codes


class Builder:
    """Keeps the segments of all lists that the settings want in memory."""

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.root, self._clock = root, clock
        self._written: dict[int, float] = {}  # list: time of its last segment
        self._mapped: dict[int, tuple[MappedSegment, ...]] = {}
        self._failed: dict[int, tuple[int, float]] = {}  # list: failures in a row, time of the last one
        self._purged = clock()
        self.over_limit = 0  # lists that do not fit the memory limit

    def step(self) -> None:
        """Bring all segments up to date. The error of a list is logged and leaves the other lists alone."""
        wanted, self.over_limit = lists_wanted()
        identity = cluster()
        kept: set[str] = set()
        for row, version in wanted:
            directory = directory_of(self.root, row.key, version.version)
            kept.add(directory.name)
            failures, failed_s = self._failed.get(row.key, (0, 0.0))
            if failures >= FAILURES and self._clock() - failed_s < PAUSE_S:
                continue
            try:
                with writing(self.root):
                    self._update(row, version, identity)
                self._failed.pop(row.key, None)
            except Exception as error:  # of the disk, the database, the memory
                logger.exception("List %s cannot be brought into memory", row.list_id)
                if isinstance(error, SegmentError):  # damaged: the next step builds it anew
                    (directory / MANIFEST).unlink(missing_ok=True)
                self._failed[row.key] = failures + 1, self._clock()
                self._clean(directory)
        for known in (self._mapped, self._failed):
            for key in known.keys() - {row.key for row, _ in wanted}:
                del known[key]
        for path in self.root.glob("*-*"):
            if path.is_dir() and path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
        forget_deleted(self.root)
        if self._clock() - self._purged > MARK_AFTER_S:
            changes_purge()
            self._purged = self._clock()

    def _update(self, row: ListKeys, version: DescriptorVersion, identity: str) -> None:
        directory = directory_of(self.root, row.key, version.version)
        manifest = self._manifest(directory, version, identity)
        if manifest is None:
            self._build(row, version, identity)
            return
        if row.key not in self._written:  # a killed builder may have left files
            remove_others(directory, manifest)
        idle_s = self._clock() - self._written.setdefault(row.key, self._clock())
        changed = row.link_key - manifest.mark.link_key + row.unlink_key - manifest.mark.unlink_key
        if changed < 0 or changed > MAX_TAIL_ROWS:
            self._build(row, version, identity)
            return
        if changed >= TAIL_ROWS or (idle_s > TAIL_AFTER_S and (changed or self._pending(manifest, idle_s))):
            try:
                manifest = self._append(manifest, directory)
            except GapError:
                self._build(row, version, identity)
                return
        if any(file.gone for file in manifest.files) and _age_s(directory / manifest.files[0].name) > FORGET_AFTER_S:
            self._publish(directory, self._merge(directory, manifest, 0))

    def _clean(self, directory: Path) -> None:
        """Delete what a failed attempt has left: a segment may be complete, but in no manifest."""
        with suppress(OSError), writing(self.root):
            try:
                remove_others(directory, manifest_read(directory))
            except (SegmentError, FileNotFoundError):
                remove_others(directory, None)

    def _manifest(self, directory: Path, version: DescriptorVersion, identity: str) -> Manifest | None:
        try:
            found = manifest_read(directory)
        except FileNotFoundError:
            return None
        except SegmentError:
            logger.exception("A list is brought into memory anew")
            return None
        same = (found.cluster, found.version, found.dimension) == (identity, version.version, version.dimension)
        sizes = [_size(directory / file.name) == file.bytes for file in found.files]
        return found if same and all(sizes) else None

    def _pending(self, manifest: Manifest, idle_s: float) -> bool:
        """Return whether descriptors of the list were replaced, or its mark is old."""
        found = decide(
            list_key=manifest.list_key, version=manifest.version, mark=manifest.mark, proposed=[], vectors=[]
        )
        return bool(found.pending) or found.purged or idle_s > MARK_AFTER_S

    def _build(self, row: ListKeys, version: DescriptorVersion, identity: str) -> None:
        """Read a whole list from the database."""
        directory = directory_of(self.root, row.key, version.version)
        with snapshot(list_key=row.key) as mark:
            if mark is None:
                return
            rows = described_count(list_key=row.key, version=version.version)
            batches = rows_copied(list_key=row.key, version=version.version, dimension=version.dimension)
            first, basis = _sampled(batches, rows, version.dimension)
            entry = segment_write(
                directory,
                basis=basis,
                version=version.version,
                rows=rows,
                gone=np.empty(0, np.int64),
                parts=_encoded(_all(first, batches), basis),
            )
        manifest = Manifest(
            identity,
            row.key,
            str(row.list_id),
            str(row.account_id),
            version.version,
            version.dimension,
            mark,
            (entry,),
        )
        manifest_write(directory, manifest)
        self._written[row.key] = self._clock()
        logger.info("List %s is in memory: %d descriptors", row.list_id, rows)

    def _append(self, manifest: Manifest, directory: Path) -> Manifest:
        """Write the changes since the manifest as another segment, and merge segments if there are too many."""
        changes = delta(
            list_key=manifest.list_key, version=manifest.version, dimension=manifest.dimension, mark=manifest.mark
        )
        if changes is None:  # the next step deletes the segments
            return manifest
        if not len(changes.gone) and not len(changes.keys):
            return self._publish(directory, replace(manifest, mark=changes.mark))
        basis = self._basis(directory, manifest)
        order = np.argsort(changes.keys)
        entry = segment_write(
            directory,
            basis=basis,
            version=manifest.version,
            rows=len(order),
            gone=changes.gone,
            parts=_encoded(iter([(changes.keys[order], changes.vectors[order])]), basis),
        )
        # Before the merge, which can fail: it needs much more space.
        grown = self._publish(directory, replace(manifest, mark=changes.mark, files=(*manifest.files, entry)))
        compacted = self._compacted(directory, grown)
        return grown if compacted is grown else self._publish(directory, compacted)

    def _publish(self, directory: Path, manifest: Manifest) -> Manifest:
        manifest_write(directory, manifest)
        self._written[manifest.list_key] = self._clock()
        return manifest

    def _basis(self, directory: Path, manifest: Manifest) -> Basis:
        """Return the coordinates of a list; segments of the previous call are not read again."""
        mapped = segments_open(directory, manifest, self._mapped.get(manifest.list_key, ()))
        self._mapped[manifest.list_key] = mapped
        return mapped[0].segment.basis

    def _compacted(self, directory: Path, manifest: Manifest) -> Manifest:
        base, tails = manifest.files[0], manifest.files[1:]
        lacks_head = manifest.dimension >= MIN_DIMENSION_OF_HEAD and base.rows < MIN_ROWS_OF_HEAD <= manifest.rows / 2
        if lacks_head:
            return replace(manifest, cluster=OUTGROWN)
        if sum(file.rows + file.gone for file in tails) > MERGE_SHARE * base.rows:
            return self._merge(directory, manifest, 0)
        return self._merge(directory, manifest, 1) if len(manifest.files) > MAX_FILES else manifest

    def _merge(self, directory: Path, manifest: Manifest, first: int) -> Manifest:
        """Merge the segments from `first` on into one."""
        merged = segments_open(directory, manifest)[first:]  # checksums are read: damage must not be copied
        nothing = np.empty(0, np.int64)
        gone = np.unique(np.concatenate([nothing, *(each.gone for each in merged)]))
        later = [
            np.concatenate([nothing, *(each.gone for each in merged[place + 1 :])]) for place in range(len(merged))
        ]
        places = [
            np.setdiff1d(np.arange(len(each.segment.keys)), each.segment.places(np.unique(after)))
            for each, after in zip(merged, later, strict=True)
        ]
        entry = segment_write(
            directory,
            basis=merged[0].segment.basis,
            version=manifest.version,
            rows=sum(len(each) for each in places),
            gone=gone if first else nothing,
            parts=_joined(merged, places),
        )
        return replace(manifest, files=(*manifest.files[:first], entry))


def lists_wanted() -> tuple[list[tuple[ListKeys, DescriptorVersion]], int]:
    """Return the lists that the settings want in memory, with their version, and the number of those that do not fit.

    Lists are taken in the order of their creation until the memory limit is reached; smaller ones may still fit.
    """
    settings = config(DescriptorsCache)
    if not settings.cache_enabled:
        return [], 0
    try:
        version = versions.default("face")
    except LunaError:  # no network of face descriptors
        return [], 0
    lists = settings.cached_data.faces_lists
    rows = lists_of_at_least(faces=settings.smallest_list, include=lists.include, exclude=lists.exclude)
    wanted, used, root = [], 0, segments_root()
    for row in rows:
        size = row.faces * (version.dimension + int(version.dimension * HEAD_SHARE) + BYTES_PER_ROW)
        if wants_fast(root, row.list_id, row.faces):
            size += row.faces * fast_bytes_per_row(version.dimension)
        if used + size <= settings.memory_limit:
            used += size
            wanted.append((row, version))
    return wanted, len(rows) - len(wanted)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return -1


def _age_s(path: Path) -> float:
    """Return the age of a file; a clock that was set back counts as age."""
    return abs(time.time() - path.stat().st_mtime)


def _sampled(
    batches: Iterator[tuple[Keys, Floats]], rows: int, dimension: int
) -> tuple[list[tuple[Keys, Floats]], Basis]:
    """Return the first batches, and the coordinates computed from them."""
    first: list[tuple[Keys, Floats]] = []
    if dimension < MIN_DIMENSION_OF_HEAD or rows < MIN_ROWS_OF_HEAD:
        return first, Basis(dimension)
    for batch in batches:
        first.append(batch)
        if sum(len(keys) for keys, _ in first) >= SAMPLE_ROWS:
            break
    return first, basis_of(np.concatenate([vectors for _, vectors in first]), rows)


def _all(first: Sequence[tuple[Keys, Floats]], batches: Iterator[tuple[Keys, Floats]]) -> Iterator[tuple[Keys, Floats]]:
    yield from first
    yield from batches


def _encoded(batches: Iterator[tuple[Keys, Floats]], basis: Basis) -> Iterator[tuple[Keys, Mapping[str, NDArray[Any]]]]:
    """Yield the codes of each batch, which a thread computes while the next batch is read from the database."""
    before: tuple[Keys, Future[CodedRows]] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="list-cache-codes") as pool:
        for keys, vectors in batches:
            running = keys, pool.submit(encode, vectors, basis)
            if before is not None:
                yield before[0], _arrays(before[1].result())
            before = running
        if before is not None:
            yield before[0], _arrays(before[1].result())


def _arrays(rows: CodedRows) -> Mapping[str, NDArray[Any]]:
    return {name: getattr(rows, name) for name in ARRAYS}


def _joined(
    segments: Sequence[MappedSegment], places: Sequence[NDArray[np.intp]]
) -> Iterator[tuple[Keys, Mapping[str, NDArray[Any]]]]:
    """Yield the rows at `places` of all segments, in the order of their keys."""
    keys = np.concatenate([each.segment.keys[rows] for each, rows in zip(segments, places, strict=True)])
    source = np.repeat(np.arange(len(segments)), [len(rows) for rows in places])
    row = np.concatenate(places)
    order = np.argsort(keys, kind="stable")
    for start in range(0, len(order), BATCH_ROWS):
        batch = order[start : start + BATCH_ROWS]
        arrays: dict[str, NDArray[Any]] = {}
        for name in ARRAYS:
            parts = [getattr(each.segment, name) for each in segments]
            arrays[name] = np.empty((len(batch), *parts[0].shape[1:]), parts[0].dtype)
            for number, part in enumerate(parts):
                own = source[batch] == number
                arrays[name][own] = part[row[batch][own]]
        yield keys[batch], arrays


def builder_lock(root: Path) -> AbstractContextManager[bool]:
    """Hold the lock of the only builder; yield whether it is held. The kernel releases it when the process ends."""
    return file_lock(root / LOCK)


def segments_drop(root: Path, drop: Callable[[Manifest | None, Path], bool]) -> int:
    """Delete the directories for which `drop` returns True, and return their number.

    `drop` receives None for a manifest that cannot be read. Waits for the list that the builder writes.
    """
    dropped = 0
    with writing(root):
        for path in sorted(root.glob("*-*")):
            try:
                manifest: Manifest | None = manifest_read(path)
            except (SegmentError, FileNotFoundError, NotADirectoryError):
                manifest = None
            if path.is_dir() and drop(manifest, path):
                (path / MANIFEST).unlink(missing_ok=True)
                # Under another name, because the builder of fast codes writes its progress without the lock.
                shutil.rmtree(path.rename(path.with_name(f".{path.name}.{uuid4().hex}")))
                dropped += 1
    return dropped
