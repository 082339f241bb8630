"""Clusters of stored objects: connected components of all pairs with a similarity above a threshold.

Every object is compared with every other one (`engine/components.py`). Descriptors and codes are in files without a
name, so that memory is about 50 bytes per object.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.common.config import Directories, config
from apps.common.descriptors import DescriptorVersion
from apps.events.descriptors import events_tracks
from apps.matching.cross import PAGE_ROWS, Keys, Sets, sets_of, stored_vectors
from apps.matching.engine.components import STRIPE_ROWS, CodedVectors, Places
from apps.matching.types import Candidates, EventCandidates

Check = Callable[[], None]
TRACK_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Objects to cluster, in the order of creation.

    `keys`: database keys, int64 [n]. `ids`: 16 bytes [n]. `digest`: of keys and descriptors, hexadecimal: two reads of
    unchanged objects have the same.
    """

    candidates: Candidates
    keys: Keys
    ids: Any
    rows: CodedVectors
    digest: str

    def id_of(self, place: int) -> UUID:
        return UUID(bytes=self.ids[place].tobytes())


@contextmanager
def stored_objects(sets: Sets, version: DescriptorVersion, *, check: Check) -> Iterator[Objects]:
    """Read the objects of disjoint sets of one kind that have a descriptor of the version.

    `check` is called regularly, and may raise an error.
    """
    with (
        stored_vectors(sets, version, check) as (keys, ids, vectors),
        tempfile.TemporaryFile(dir=config(Directories).tmp) as file,
    ):
        digest = blake2b(keys.tobytes(), digest_size=16)
        for start in range(0, len(keys), STRIPE_ROWS):
            check()
            digest.update(vectors[start : start + STRIPE_ROWS].tobytes())
        codes: NDArray[np.int8] = (
            np.memmap(file, np.int8, "w+", shape=vectors.shape) if len(keys) else np.empty(vectors.shape, np.int8)
        )
        yield Objects(sets_of(sets)[0], keys, ids, CodedVectors.of(vectors, codes, check), digest.hexdigest())


def tracks(objects: Objects, *, check: Check) -> Places:
    """Return for each object the smallest place of an event of the same track: all of them are of one person.

    Tracks of different streams are different. Faces and events without a track have their own places.
    """
    first = np.arange(len(objects.keys))
    if not isinstance(objects.candidates, EventCandidates):
        return first
    names, places = bytearray(), bytearray()
    for start in range(0, len(objects.keys), PAGE_ROWS):
        check()
        keys = objects.keys[start : start + PAGE_ROWS]
        found = events_tracks(scope=objects.candidates.scope, keys=keys.tolist())
        names += b"".join(
            blake2b(f"{account} {stream} {track}".encode(), digest_size=TRACK_BYTES).digest()
            for _, account, stream, track in found
        )
        order = np.argsort(keys)
        within = np.searchsorted(keys, np.array([key for key, *_ in found], np.int64), sorter=order)
        places += (order[within] + start).astype(np.intp).tobytes()
    places_of = np.frombuffer(places, np.intp)
    _, inverse = np.unique(np.frombuffer(names, f"S{TRACK_BYTES}"), return_inverse=True)
    first[places_of] = smallest_places(inverse, places_of)
    return first


def smallest_places(groups_of: NDArray[np.int64], places: Places) -> Places:
    """Return for each of `places` the smallest one of its group. `groups_of`: numbers of groups from 0, [n]."""
    smallest = np.full(int(groups_of.max(initial=-1)) + 1, np.iinfo(np.intp).max, np.intp)
    np.minimum.at(smallest, groups_of, places)
    return smallest[groups_of]


def groups(labels: NDArray[np.int32]) -> Iterator[Places]:
    """Yield the places of each component, ascending: the largest component first, equal ones by their first place.

    `labels`: see `Components.labels`.
    """
    if not len(labels):
        return
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
    sizes = np.diff(np.r_[starts, len(labels)])
    for group in np.argsort(-sizes, kind="stable"):
        yield order[starts[group] : starts[group] + sizes[group]]
