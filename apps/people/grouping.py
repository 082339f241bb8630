"""Groups of events of one person each, which keep the decisions of operators.

Without decisions, a group is a connected component of all pairs with a cosine above the threshold; the events of one
track are connected as well. A decision fixes the person of an event. Events of one person are in one group, those of
two people never are. A component with several people is divided: each of its other events belongs to the person with
the strongest chain to it, that is the chain of events whose lowest cosine is the highest. This cuts the weakest links
between people. Of equally strong chains the one is taken that is found first, in the order of events.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import Vector
from apps.matching.clusters import groups, smallest_places
from apps.matching.engine.components import CodedVectors, Components, Places, connect

Check = Callable[[], None]
Numbers = NDArray[np.int64]

UNDECIDED = -1
TRACK_COSINE = 2.0  # links within a track are stronger than all others
MOST_DIVIDED = 20_000  # events of a component with several people: the time grows with the square


class PeopleError(ValueError):
    """A proposal or decision that is not possible; the text is for the operator."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A group of events. `person`: the number of its decided person, `UNDECIDED` for a proposal."""

    person: int
    places: Places


def grouped(
    rows: CodedVectors, tracks: Places, decided: Numbers, cosine: float, *, check: Check, progress: Check = lambda: None
) -> list[Group]:
    """Return the groups of all events, largest first; the groups of decided people are unordered.

    `tracks`: a number of the track of each event, [n]. `decided`: the number of the person of each event, `UNDECIDED`
    for none. `progress` is called for each compared pair of stripes. Raises PeopleError for a component of more than
    `MOST_DIVIDED` events with several people.
    """
    components = Components(len(decided))
    components.join(np.arange(len(decided)), tracks)
    known = np.flatnonzero(decided != UNDECIDED)
    components.join(known, smallest_places(decided[known], known))
    for _ in connect(rows, components, cosine, start=0, check=check):
        progress()
    found: list[Group] = []
    for places in groups(components.labels()):
        check()
        people = np.unique(decided[places])
        people = people[people != UNDECIDED]
        if len(people) < 2:
            found.append(Group(int(people[0]) if len(people) else UNDECIDED, places))
            continue
        if len(places) > MOST_DIVIDED:
            raise PeopleError(
                f"{len(places):,} events resemble each other in a chain, among them {len(people)} different people. "
                "Use a higher threshold."
            )
        of_each = divided(rows.vectors[places], tracks[places], decided[places], check)
        found += [Group(int(person), places[of_each == person]) for person in people]
    return found


def divided(vectors: Vector, tracks: Places, decided: Numbers, check: Check) -> Numbers:
    """Return the person of each event of a connected component, [n], by the strongest chain.

    Prim's algorithm from all decided events at once (R. C. Prim, Shortest connection networks, 1957): the event with
    the strongest link to any event with a person gets that person, until all have one.
    """
    wide = vectors.astype(np.float64)
    person = decided.copy()
    strength, source = np.full(len(person), -np.inf), np.full(len(person), UNDECIDED)

    def reach(place: int) -> None:
        check()
        cosines = np.where(tracks == tracks[place], TRACK_COSINE, wide @ wide[place])
        stronger = cosines > strength
        strength[stronger], source[stronger] = cosines[stronger], person[place]

    for known in np.flatnonzero(decided != UNDECIDED):
        reach(int(known))
    for _ in range(int((decided == UNDECIDED).sum())):
        place = int(np.argmax(np.where(person == UNDECIDED, strength, -np.inf)))
        person[place] = source[place]
        reach(place)
    return person
