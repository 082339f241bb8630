"""Matcher in memory: lists from segments, everything else from the database."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, cast
from uuid import UUID

from django.db import Error, connection

from apps.common.config import config, web_processes
from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.process import PerProcess, Status
from apps.common.processors import usable_processors
from apps.common.scope import Scope
from apps.matching.config import DescriptorsCache, MatcherDevice, MatchingSpeed
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.engine.joining import Joiner
from apps.matching.engine.protocol import Hit, Matcher
from apps.matching.segments.builder import lists_wanted
from apps.matching.segments.copies import Copies, ListCopy
from apps.matching.segments.files import segments_root
from apps.matching.types import Candidates, FaceCandidates

if TYPE_CHECKING:
    from apps.matching.segments.device import MatchingDevice

logger = logging.getLogger(__name__)

MAX_VECTORS = 64  # of one scan
SCOPE = Scope(None)  # of joined searches: that each may see the list is checked before
Found = list[list[tuple[int, float]]] | None  # hits for each vector; None if the database must search
# Filters by ids pass few faces; comparing those in the database is faster than scanning the list.
OF_FEW = frozenset({"face_ids", "external_ids", "event_ids", "event_id"})


class Service:
    """The copies of this process, with a thread that maps new segments."""

    def __init__(self) -> None:
        self.copies = Copies(segments_root(), _device())
        self.answers: Counter[str] = Counter()
        self.loaded = False
        share = max(1, usable_processors() // web_processes())
        self.joiner: Joiner[Sequence[Vector], Found] = Joiner(
            at_once=lambda: config(DescriptorsCache).matching_settings.thread_count or share,
            batch=lambda: config(DescriptorsCache).matching_settings.batch_size,
            max_size=MAX_VECTORS,
        )
        self._stop = threading.Event()
        self.copies.refresh()
        threading.Thread(target=self._follow, name="list-cache", daemon=True).start()

    def _follow(self) -> None:
        while not self._stop.wait(config(DescriptorsCache).updating_cache_interval):
            try:
                self.copies.refresh()
            except Exception:
                logger.exception("Segments of lists cannot be mapped")

    def check(self) -> None:
        """Raise an error until all lists that are to be in memory have been mapped once.

        Searches do not wait for this, because the database answers them. A list that is added later changes nothing.
        """
        if self.loaded:
            return
        wanted, _ = lists_wanted()
        missing = [row for row, version in wanted if self.copies.get(row.list_id, version.version) is None]
        if missing:
            raise RuntimeError(f"{len(missing)} of {len(wanted)} lists are not in memory yet")
        self.loaded = True

    def close(self) -> None:
        self._stop.set()

    def status(self) -> Status:
        copies, device = self.copies.all(), self.copies.device
        fast = [each.fast for each in copies if each.fast is not None]
        described = [description for each in fast for description in each.descriptions.values()]
        return {
            "lists": len(copies),
            "faces": sum(each.manifest.mark.link_key - each.manifest.mark.unlink_key for each in copies),
            "bytes": sum(each.manifest.bytes for each in copies),
            "answered": self.answers["memory"],
            "left_to_database": self.answers["database"],
            "failed": self.answers["failed"],
            "fast_lists": len(fast),
            "fast_bytes": sum(each.bytes for each in described),
            "fast_searches": self.answers["fast"],
            "fast_least_recall_of_strangers": min((each.strangers for each in described), default=None),
            "fast_least_recall_of_known": min(
                (each.known for each in described if each.known is not None), default=None
            ),
            "searches": self.joiner.items,
            "scans": self.joiner.batches,
            **({} if device is None else device.status()),
        }


def _device() -> "MatchingDevice | None":
    if config(MatcherDevice).device == "cpu":
        return None
    from apps.matching.segments.device import matching_device  # imports onnxruntime

    return matching_device()


service = PerProcess("list cache", Service, close=Service.close, status=Service.status)


def list_cache_check() -> None:
    """Health check: see `Service.check`."""
    try:
        service().check()
    finally:
        connection.close()  # checks run in threads of their own


class CachedMatcher:
    """Exact implementation of `protocol.Matcher`: the answers are those of the database.

    Candidates are searched in memory if they are faces of one list that is cached in this version. All others,
    and every search that memory cannot prove, are searched in the database. With `fast`, fast codes propose in lists
    that have them: the hits are right, but some may be missing.
    """

    def __init__(self, database: Matcher | None = None, *, fast: bool = False) -> None:
        self.database: Matcher = database or DatabaseMatcher()
        self.fast = fast

    def search(
        self,
        candidates: Candidates,
        version: DescriptorVersion,
        vectors: Sequence[Vector],
        limit: int,
        threshold: float,
    ) -> list[list[Hit]]:
        if vectors and isinstance(candidates, FaceCandidates) and can_serve(candidates, version):
            found = self._from_memory(candidates, version, vectors, limit, threshold)
            if found is not None:
                return found
        return self.database.search(candidates, version, vectors, limit, threshold)

    def _from_memory(
        self,
        candidates: FaceCandidates,
        version: DescriptorVersion,
        vectors: Sequence[Vector],
        limit: int,
        threshold: float,
    ) -> list[list[Hit]] | None:
        others = {name: value for name, value in candidates.filters.items() if name != "list_id"}
        answers = service().answers
        copy = service().copies.get(cast(UUID, candidates.filters["list_id"]), version.version)
        if copy is None or not candidates.scope.allows(UUID(copy.manifest.account_id)):
            return None
        if self.fast and copy.fast is not None:
            copy = copy.fast
            answers["fast"] += len(vectors)
        try:
            if others or connection.in_atomic_block:  # other threads do not see uncommitted changes
                found = copy.search(
                    scope=candidates.scope, filters=others, vectors=vectors, limit=limit, threshold=threshold
                )
            else:
                found = _joined(copy, vectors, limit, threshold)
        except Error:  # the database's: it cannot answer either
            raise
        except Exception:
            copy.broken = True
            answers["failed"] += 1
            logger.exception("List %s is matched in the database", copy.manifest.list_id)
            return None
        answers["database" if found is None else "memory"] += 1
        return None if found is None else [[Hit(*each) for each in hits] for hits in found]


def _joined(copy: ListCopy, vectors: Sequence[Vector], limit: int, threshold: float) -> Found:
    """Search a list without other filters, together with concurrent equal searches."""

    def run(batch: Sequence[Sequence[Vector]]) -> list[Found]:
        every = [vector for each in batch for vector in each]
        found = copy.search(scope=SCOPE, filters={}, vectors=every, limit=limit, threshold=threshold)
        if found is None:  # one vector without proof must not send the others to the database
            return [None] if len(batch) == 1 else [run([each])[0] for each in batch]
        hits = iter(found)
        return [list(islice(hits, len(each))) for each in batch]

    return service().joiner((copy, limit, threshold), vectors, size=len(vectors), run=run)


def can_serve(candidates: FaceCandidates, version: DescriptorVersion) -> bool:
    """Return whether faces of one list are asked for in the version of its copy in memory."""
    settings = config(DescriptorsCache)
    list_id = candidates.filters.get("list_id")
    lists = settings.cached_data.faces_lists
    return (
        settings.cache_enabled
        and isinstance(list_id, UUID)
        and list_id not in lists.exclude
        and (lists.include is None or list_id in lists.include)
        and not OF_FEW & candidates.filters.keys()
        and service().copies.get(list_id, version.version) is not None
    )


def can_serve_fast(candidates: FaceCandidates, version: DescriptorVersion) -> bool:
    """Return whether `can_serve` holds, the list has fast codes, and fast matching is asked for."""
    if (candidates.speed or config(MatchingSpeed).default_speed) != "fast" or not can_serve(candidates, version):
        return False
    copy = service().copies.get(cast(UUID, candidates.filters["list_id"]), version.version)
    return copy is not None and copy.fast is not None
