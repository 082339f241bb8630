"""Copies of lists in memory: mapped segments with the changes since."""

import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from apps.faces.changes import Keys
from apps.matching.segments.codes import Floats, rounding
from apps.matching.segments.deciding import DecidedCopy, State
from apps.matching.segments.fast import FastCodes, proposals_fast
from apps.matching.segments.fast_files import FastDescription, fast_described, fast_path, fast_read
from apps.matching.segments.files import (
    MANIFEST,
    Manifest,
    MappedSegment,
    SegmentError,
    manifest_read,
    segments_open,
)
from apps.matching.segments.scan import Proposed, Rows, Scan, proposals, scan

if TYPE_CHECKING:
    from apps.matching.segments.device import MatchingDevice

logger = logging.getLogger(__name__)


class ListCopy(DecidedCopy):
    """The descriptors of one list and version in mapped segments.

    `State.dead`: for each segment the rows that are no longer valid, ascending.
    """

    def __init__(self, directory: Path, manifest: Manifest, segments: Sequence[MappedSegment]) -> None:
        self.manifest, self.segments = manifest, tuple(segments)
        self.directory = directory
        self.scan: Scan = scan
        self.fast: FastCopy | None = None
        nothing = np.empty(0, np.int64)
        gone = [each.gone for each in segments]
        dead = tuple(
            each.segment.places(np.unique(np.concatenate([nothing, *gone[place + 1 :]])))
            for place, each in enumerate(segments)
        )
        self.dead = dead  # at the manifest's mark
        super().__init__(manifest, dead)

    @property
    def intact(self) -> bool:
        return not self.broken and all(each.intact() for each in self.segments)

    def _proposals(
        self, state: State, vectors: Floats, limit: int, threshold: float, only: Keys | None
    ) -> list[Proposed]:
        parts = [
            (each.segment, dead, None if only is None else each.segment.places(only))
            for each, dead in zip(self.segments, state.dead, strict=True)
        ]
        fits = slice(None) if only is None else np.isin(state.keys, only)
        least = threshold - rounding(self.manifest.dimension)
        return proposals(parts, (state.keys[fits], state.rows[fits]), vectors, limit, least, self.scan)

    def _dead_with(self, dead: tuple[Rows, ...], gone: Keys) -> tuple[Rows, ...]:
        return tuple(
            np.union1d(before, each.segment.places(gone)).astype(np.intp)
            for each, before in zip(self.segments, dead, strict=True)
        )

    def _drop(self) -> None:
        (self.directory / MANIFEST).unlink(missing_ok=True)  # the builder makes it anew


class FastCopy(ListCopy):
    """A list whose fast codes propose: a result may lack faces, but all its hits are right.

    Without codes of a segment, all its rows are compared. `codes`, `descriptions`: by the name of the segment.
    """

    def __init__(
        self, copy: ListCopy, codes: Mapping[str, FastCodes], descriptions: Mapping[str, FastDescription]
    ) -> None:
        super().__init__(copy.directory, copy.manifest, copy.segments)
        self.codes, self.descriptions = codes, descriptions

    def _proposals(
        self, state: State, vectors: Floats, limit: int, threshold: float, only: Keys | None
    ) -> list[Proposed]:
        if only is not None:  # few enough for the complete codes
            return super()._proposals(state, vectors, limit, threshold, only)
        least = threshold - rounding(self.manifest.dimension)
        parts = [
            (each.segment, dead, self.codes.get(each.name))
            for each, dead in zip(self.segments, state.dead, strict=True)
        ]
        return proposals_fast(parts, (state.keys, state.rows), vectors, limit, least)


def fast_copy_of(copy: ListCopy) -> FastCopy | None:
    """Return the fast copy of a list, None until the codes of its oldest segment are complete.

    The oldest segment has nearly all faces. Codes that are read already are kept; damaged files are deleted, so that
    they are made anew.
    """
    known = copy.fast
    codes: dict[str, FastCodes] = {}
    descriptions: dict[str, FastDescription] = {}
    for each in copy.segments:
        path = fast_path(copy.directory, each.name)
        try:
            described = fast_described(path)
            if known is not None and known.descriptions.get(each.name) == described:
                codes[each.name] = known.codes[each.name]
            else:
                codes[each.name] = fast_read(path, described, len(each.segment.keys), copy.manifest.dimension)
            descriptions[each.name] = described
        except FileNotFoundError:
            continue
        except SegmentError as error:
            path.unlink(missing_ok=True)
            logger.error("%s; the list is matched exactly until the fast codes are made anew", error)
    if not copy.segments or copy.segments[0].name not in codes:
        return None
    same = known is not None and not known.broken and known.segments == copy.segments and known.codes == codes
    return known if same else FastCopy(copy, codes, descriptions)


class Copies:
    """The copies of all lists that this process has mapped, by list and descriptor version.

    A list has copies in two versions after a change of the default version, until the builder deletes the old one.
    """

    def __init__(self, root: Path, device: "MatchingDevice | None" = None) -> None:
        self.root, self.device = root, device
        self._copies: dict[tuple[UUID, int], ListCopy] = {}
        self._read: dict[str, tuple[int, int]] = {}  # directory: inode and time of its manifest
        self._lock = threading.Lock()

    def get(self, list_id: UUID, version: int) -> ListCopy | None:
        return self._copies.get((list_id, version))

    def all(self) -> Sequence[ListCopy]:
        return tuple(self._copies.values())

    def refresh(self) -> None:
        """Map new segments and drop those of removed directories. Damaged ones are dropped and made anew."""
        with self._lock:
            copies: dict[tuple[UUID, int], ListCopy] = {}
            known = {each.directory.name: each for each in self._copies.values()}
            read: dict[str, tuple[int, int]] = {}
            for path in sorted(self.root.glob(f"*/{MANIFEST}")):
                name = path.parent.name
                stat = None
                try:
                    stat = path.stat()
                    read[name] = (stat.st_ino, stat.st_mtime_ns)
                    copy = known.get(name)
                    if copy is None or copy.broken or read[name] != self._read.get(name):
                        manifest = manifest_read(path.parent)
                        mapped = () if copy is None or copy.broken else copy.segments
                        fast = None if copy is None else copy.fast
                        copy = ListCopy(path.parent, manifest, segments_open(path.parent, manifest, mapped))
                        copy.fast = fast
                    if not copy.intact:
                        raise SegmentError(f"{name}: a segment is damaged")
                    copies[_place(copy)] = copy
                except FileNotFoundError:
                    read.pop(name, None)
                    if _unchanged(path, stat):
                        path.unlink(missing_ok=True)
                        logger.error("%s: a segment is missing; the builder makes it anew", name)
                    elif known_copy := known.get(name):
                        copies[_place(known_copy)] = known_copy
                except SegmentError as error:
                    read.pop(name, None)
                    path.unlink(missing_ok=True)
                    logger.error("%s: the builder makes it anew", error)
                except Exception:  # too many open files, too little memory: the other lists are mapped all the same
                    read.pop(name, None)
                    logger.exception("%s cannot be mapped", name)
                    if known_copy := known.get(name):
                        copies[_place(known_copy)] = known_copy
            for copy in copies.values():
                copy.fast = _fast_copy_of(copy)
            if self.device is not None:
                for copy in copies.values():
                    segments = [each.segment for each in copy.segments]
                    copy.scan = self.device.scan_of(segments, copy.dead, copy.scan)
            self._copies, self._read = copies, read


def _place(copy: ListCopy) -> tuple[UUID, int]:
    return UUID(copy.manifest.list_id), copy.manifest.version


def _fast_copy_of(copy: ListCopy) -> FastCopy | None:
    try:
        return fast_copy_of(copy)
    except Exception:  # too little memory, for example
        logger.exception("List %s is matched exactly", copy.manifest.list_id)
        return None


def _unchanged(path: Path, before: os.stat_result | None) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return before is not None and path.stat().st_ino == before.st_ino
    return False
