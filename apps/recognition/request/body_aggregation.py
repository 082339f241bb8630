"""One set of estimations from several pictures of one person's body: means of numbers, the commonest of words.

A picture that does not show something has no say in it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from apps.common.descriptors import Descriptor
from apps.recognition.estimators.accessories import Accessories
from apps.recognition.estimators.body_basic_attributes import BodyBasicAttributes
from apps.recognition.estimators.colours import MOST_COLOURS, UNKNOWN
from apps.recognition.estimators.lower_body import LowerBody
from apps.recognition.estimators.upper_body import UpperBody
from apps.recognition.request.aggregation import every, mean_descriptor


def aggregate_bodies(estimations: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Of bodies of one person, by API name; what none of them has is left out."""
    results: dict[str, object] = {}
    if descriptors := every(estimations, "body_descriptor", Descriptor):
        results["body_descriptor"] = mean_descriptor(descriptors)
    if basics := every(estimations, "body_basic_attributes", BodyBasicAttributes):
        age = _mean(each.age for each in basics)
        male = _mean(each.male for each in basics)
        results["body_basic_attributes"] = BodyBasicAttributes(None if age is None else round(age), male)
    if uppers := every(estimations, "upper_body", UpperBody):
        results["upper_body"] = UpperBody(
            _colours([each.colours for each in uppers]), _mean(each.bare for each in uppers)
        )
    if lowers := every(estimations, "lower_body", LowerBody):
        results["lower_body"] = LowerBody(
            garment=_commonest(each.garment for each in lowers),
            colours=_colours([each.colours for each in lowers]),
            shoes=_commonest(each.shoes for each in lowers),
        )
    if accessories := every(estimations, "accessories", Accessories):
        seen = [each for each in accessories if each.backpack_state != UNKNOWN] or accessories
        results["accessories"] = Accessories(
            backpack=float(np.mean([each.backpack for each in seen])),
            threshold=seen[0].threshold,
            shoulders_seen=any(each.shoulders_seen for each in seen),
        )
    return results


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _commonest(words: Iterable[str]) -> str:
    """Of the known ones; of equally common ones the first."""
    known = Counter(word for word in words if word != UNKNOWN)
    return known.most_common(1)[0][0] if known else UNKNOWN


def _colours(seen: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Those of at least half of the pictures that show any, the commonest first; else the commonest one."""
    known = [colours for colours in seen if colours != (UNKNOWN,)]
    times = Counter(colour for colours in known for colour in colours)
    common = [colour for colour, count in times.most_common(MOST_COLOURS) if 2 * count >= len(known)]
    return tuple(common) or (_commonest(times.elements()),)
