"""Matching of probes with candidates: the most similar candidates, their similarities and objects.

A matcher (`engine.protocol`) returns keys and cosines. This module converts cosines to similarities and applies
thresholds, in the same way for all matchers. `hydration` then reads the objects of the keys.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from apps.common import errors
from apps.common.descriptors import DescriptorVersion, Vector, versions
from apps.common.errors import LunaError
from apps.events.models import Event
from apps.faces.types import FaceRow
from apps.matching.engine.protocol import Key, Matcher
from apps.matching.hydration import hydrate
from apps.matching.plugins.router import Router
from apps.matching.types import Block, Candidates, Found, Match, Probe

MATCHER: Matcher = Router()
ROUNDING = 1e-6  # tolerance of the rounded threshold's cosine; hits below the threshold are dropped by similarity
Matches = tuple[Match, ...]
Ranked = list[tuple[Key, float]]  # keys with similarities
Group = tuple[type[Candidates], object, frozenset[str]]


def match(*, probes: Sequence[Probe], block: Block) -> tuple[Matches, ...]:
    """Match each probe with all candidates of a block; return the matches of each probe, most similar first.

    Equal similarities keep the order of storage of the objects. Candidates without a descriptor of the probe's version
    are skipped. Raises LunaError MIXED_DESCRIPTOR_VERSIONS for probes of different versions,
    UNKNOWN_DESCRIPTOR_VERSION for an unknown version.
    """
    return tuple(matches for (matches,) in match_all(probes=probes, blocks=[block]))


def match_all(*, probes: Sequence[Probe], blocks: Sequence[Block]) -> tuple[tuple[Matches, ...], ...]:
    """Match probes with several blocks of candidates; return the matches of each block for each probe."""
    if not probes:
        return ()
    numbers = {probe.version for probe in probes}
    if len(numbers) > 1:
        raise LunaError(errors.MIXED_DESCRIPTOR_VERSIONS, ", ".join(map(str, sorted(numbers))))
    version = versions.get(numbers.pop())
    vectors = [probe.vector for probe in probes]
    ranked = [_ranked(block, version, vectors) for block in blocks]
    objects = _objects(blocks, ranked)
    return tuple(
        tuple(
            tuple(
                match_of(objects[_group(block)][key], similarity)
                for key, similarity in of_block[place]
                if key in objects[_group(block)]
            )
            for block, of_block in zip(blocks, ranked, strict=True)
        )
        for place in range(len(probes))
    )


def _ranked(block: Block, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Ranked]:
    """Return keys and similarities in a block for each vector."""
    calibration = version.calibration
    least = calibration.cosine(block.threshold) - ROUNDING
    found = MATCHER.search(block.candidates, version, vectors, block.limit, least)
    scored = [[(hit.key, calibration.similarity(hit.cosine)) for hit in hits] for hits in found]
    return [[(key, similarity) for key, similarity in hits if similarity >= block.threshold] for hits in scored]


def _group(block: Block) -> Group:
    """Return the group of a block; the objects of a group are read together."""
    return type(block.candidates), block.candidates.scope, block.targets


def _objects(blocks: Sequence[Block], ranked: Sequence[Sequence[Ranked]]) -> Mapping[Group, Mapping[Key, Found]]:
    """Return the objects of all matches, with one statement per group of blocks."""
    keys: dict[Group, set[Key]] = defaultdict(set)
    candidates = {}
    for block, of_block in zip(blocks, ranked, strict=True):
        candidates[_group(block)] = block.candidates
        keys[_group(block)].update(key for hits in of_block for key, _ in hits)
    return {
        group: hydrate(candidates=candidates[group], keys=wanted, targets=group[2]) for group, wanted in keys.items()
    }


def match_of(found: Found, similarity: float) -> Match:
    """Return the match of an object."""
    if isinstance(found, FaceRow):
        return Match(similarity, found.face_id, face=found)
    if isinstance(found, Event):
        return Match(similarity, found.event_id, event=found)
    return Match(similarity, found.attribute_id, attribute=found)


def match_raw(*, references: Sequence[Probe], candidates: Sequence[Probe]) -> list[list[float]]:
    """Return the similarities of each reference with each candidate, in order, without reads of stored data.

    Raises LunaError MIXED_DESCRIPTOR_VERSIONS for descriptors of different versions, DESCRIPTOR_VERSION_MISMATCH for a
    version that is not the default.
    """
    numbers = {probe.version for probe in (*references, *candidates)}
    if len(numbers) > 1:
        raise LunaError(errors.MIXED_DESCRIPTOR_VERSIONS, ", ".join(map(str, sorted(numbers))))
    version = versions.get(numbers.pop())
    if version != versions.default(version.kind):
        raise LunaError(errors.DESCRIPTOR_VERSION_MISMATCH, version.version, versions.default(version.kind).version)
    rows, columns = (
        np.stack([probe.vector for probe in probes]).astype(np.float64) for probes in (references, candidates)
    )
    return [[version.calibration.similarity(cosine) for cosine in row] for row in rows @ columns.T]
