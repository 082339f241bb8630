"""Groups that keep decisions, against a plain Kruskal's algorithm with all pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.common.descriptors import Vector
from apps.matching.engine.components import CodedVectors
from apps.people import grouping
from apps.people.grouping import UNDECIDED, PeopleError, grouped
from tests.factories import unit_vectors
from tests.unit.matching.test_components import people


def groups_of(
    vectors: Vector, decided: list[int], cosine: float, tracks: list[int] | None = None
) -> set[frozenset[int]]:
    rows = CodedVectors.of(vectors, np.empty(vectors.shape, np.int8), lambda: None)
    places = np.array(tracks if tracks is not None else range(len(vectors)), np.intp)
    found = grouped(rows, places, np.array(decided, np.int64), cosine, check=lambda: None)
    for each in found:
        known = {decided[place] for place in each.places} - {UNDECIDED}
        assert known == ({each.person} - {UNDECIDED})
    assert sorted(place for each in found for place in each.places) == list(range(len(vectors)))
    return {frozenset(each.places.tolist()) for each in found}


def kruskal(vectors: Vector, decided: list[int], cosine: float, tracks: list[int]) -> set[frozenset[int]]:
    """Join pairs, strongest first, unless both sides have different people."""
    group = {place: {place} for place in range(len(vectors))}
    person = dict(enumerate(decided))
    wide = vectors.astype(np.float64)

    def join(one: int, other: int) -> None:
        if group[one] is group[other]:
            return
        known = {person[place] for place in group[one] | group[other]} - {UNDECIDED}
        if len(known) > 1:
            return
        joined = group[one] | group[other]
        for place in joined:
            group[place] = joined

    pairs = list(itertools.combinations(range(len(vectors)), 2))
    for one, other in pairs:
        if decided[one] == decided[other] != UNDECIDED:
            join(one, other)
    strength = {
        (one, other): 2.0 if tracks[one] == tracks[other] else float(wide[one] @ wide[other]) for one, other in pairs
    }
    for one, other in sorted(pairs, key=lambda pair: -strength[pair]):
        if strength[one, other] > cosine:
            join(one, other)
    return {frozenset(each) for each in group.values()}


def test_without_decisions_groups_are_components() -> None:
    vectors = people(10, 3, 24, 0.6)
    assert groups_of(vectors, [UNDECIDED] * 30, 0.5) == kruskal(vectors, [UNDECIDED] * 30, 0.5, list(range(30)))


def test_a_chain_is_cut_at_its_weakest_link() -> None:
    angles = np.array([0.0, 0.10, 0.20, 0.34, 0.44, 0.54])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    undecided = [UNDECIDED] * 6
    assert groups_of(vectors, undecided, 0.98) == {frozenset(range(6))}
    decided = [7, *undecided[:4], 9]
    assert groups_of(vectors, decided, 0.98) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}
    assert groups_of(vectors, [7, *undecided[:4], 7], 0.9999) == {
        frozenset({0, 5}),
        *(frozenset({place}) for place in range(1, 5)),
    }


def test_a_decision_is_stronger_than_a_track() -> None:
    vectors = unit_vectors(4, 16)
    assert groups_of(vectors, [UNDECIDED] * 4, 1.0, [0, 0, 0, 3]) == {frozenset({0, 1, 2}), frozenset({3})}
    found = groups_of(vectors, [5, UNDECIDED, 6, UNDECIDED], 1.0, [0, 0, 0, 3])
    assert found == {frozenset({0, 1}), frozenset({2}), frozenset({3})}


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 24), st.integers(0, 2**31), st.floats(-0.5, 0.9), st.data())
def test_equals_kruskal(count: int, seed: int, cosine: float, data: st.DataObject) -> None:
    vectors = unit_vectors(count, 5, seed)
    person = st.sampled_from([UNDECIDED, UNDECIDED, 1, 2, 3])
    decided = data.draw(st.lists(person, min_size=count, max_size=count))
    track = st.integers(0, count - 1)
    firsts = data.draw(st.lists(track, min_size=count, max_size=count)) if data.draw(st.booleans()) else range(count)
    tracks = [next(other for other in range(count) if firsts[other] == firsts[place]) for place in range(count)]
    # Links of one track are equally strong: with people within a track, their order decides.
    if any(len({decided[at] for at in range(count) if tracks[at] == first} - {UNDECIDED}) > 1 for first in tracks):
        tracks = list(range(count))
    assert groups_of(vectors, decided, cosine, tracks) == kruskal(vectors, decided, cosine, tracks)


def test_a_large_component_with_several_people_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_DIVIDED", 3)
    vectors = np.repeat(unit_vectors(1, 8), 4, axis=0)
    assert groups_of(vectors, [1, UNDECIDED, UNDECIDED, UNDECIDED], 0.5) == {frozenset(range(4))}
    with pytest.raises(PeopleError, match="higher threshold"):
        groups_of(vectors, [1, UNDECIDED, UNDECIDED, 2], 0.5)
