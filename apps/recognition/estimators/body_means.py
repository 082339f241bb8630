"""Means over several pictures of one person's body; unknown values are skipped."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from apps.recognition.estimators.colours import MOST_COLOURS, UNKNOWN


def known_mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the known values, None if all are unknown."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def commonest(words: Iterable[str]) -> str:
    """Return the most frequent of the known words; of equally frequent ones the first."""
    known = Counter(word for word in words if word != UNKNOWN)
    return known.most_common(1)[0][0] if known else UNKNOWN


def common_colours(seen: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the colours in at least half of the pictures with colours, the most frequent first.

    If no colour is that frequent, return only the most frequent one.
    """
    known = [colours for colours in seen if colours != (UNKNOWN,)]
    times = Counter(colour for colours in known for colour in colours)
    common = [colour for colour, count in times.most_common(MOST_COLOURS) if 2 * count >= len(known)]
    return tuple(common) or (commonest(times.elements()),)
