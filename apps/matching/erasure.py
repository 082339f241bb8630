"""Erasure of people and accounts from the segments of lists, and their consistency checks.

Segments hold codes of descriptors. They can be made anew from the database at any time, so all segments of a list are
deleted together.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from uuid import UUID

import numpy as np

from apps.common.holdings import Erasure, Fault, Report, Trace
from apps.faces.models import Face, List
from apps.matching.segments.builder import segments_drop
from apps.matching.segments.files import Manifest, SegmentError, manifest_read, segments_open, segments_root


def segments_erase(account_id: UUID, erasure: Erasure) -> None:
    """Delete the segments of an account's lists."""
    gone = segments_drop(segments_root(), lambda manifest, _: manifest is None or _owner(manifest) == account_id)
    erasure.went("list segments", gone)


def _owner(manifest: Manifest) -> UUID:
    return UUID(manifest.account_id)


class PersonSegments:
    """Segments that contain faces of a person. The builder makes them anew without these faces."""

    def __init__(self) -> None:
        self.keys: set[int] = set()
        self.erased = 0

    def find(self, trace: Trace) -> None:
        for account_id, ids in trace.of("face").items():
            faces = Face.objects.for_account(account_id).filter(face_id__in=ids)
            self.keys.update(faces.values_list("pk", flat=True))

    def erase(self, trace: Trace) -> None:
        """Do nothing: segments are no rows."""

    def clean(self, trace: Trace) -> None:
        if self.keys:
            self.erased = segments_drop(segments_root(), lambda manifest, _: manifest is None or self._holds(manifest))

    def _holds(self, manifest: Manifest) -> bool:
        wanted = np.array(sorted(self.keys), np.int64)
        directory = segments_root() / f"{manifest.list_key}-{manifest.version}"
        try:
            segments = segments_open(directory, manifest)
        except (SegmentError, FileNotFoundError):  # unreadable: deleted to be safe
            return True
        return any(len(each.segment.places(wanted)) for each in segments)

    def report(self) -> Report:
        return {"list_segments": self.erased}


def segments_check(deep: bool) -> Iterator[Fault]:
    """Yield segments that cannot be read, and those of deleted lists. `deep`: compare checksums."""
    for path in sorted(segments_root().glob("*-*")):
        mend = partial(shutil.rmtree, path, ignore_errors=True)
        try:
            manifest = manifest_read(path)
            if deep:
                segments_open(path, manifest)
        except (SegmentError, FileNotFoundError, NotADirectoryError):
            yield Fault("unreadable list segments", path.name, mend)
            continue
        if not List.objects.unscoped().filter(pk=manifest.list_key, list_id=manifest.list_id).exists():
            yield Fault("list segments of a deleted list", path.name, mend)
