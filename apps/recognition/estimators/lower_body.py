"""Lower garment with its colours, and shoes, by the pose and the colour of the face's skin.

Shins without skin and with the colour of the thighs are trousers. Bare shins (without visible shins, bare thighs above
the knees) are shorts or a skirt. It is a skirt if cloth is between the thighs, half-way to the knees. They are shorts
if both thighs are cloth there, with neither cloth nor skin between them. All other cases are unknown, for example
stockings, boots and hands in front. Seated persons, and persons without visible hips and knees, are unknown too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from apps.common.filters import enums
from apps.common.json_types import words
from apps.recognition.engine import pose
from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.body_means import common_colours, commonest
from apps.recognition.estimators.body_parts import (
    BARE_FROM,
    CLOTH_IS_SKIN,
    COVERED_UP_TO,
    Lab,
    Pixels,
    apart,
    colour_of,
    limb,
    patch,
    seen,
    share_like,
    skin_of,
    without_skin,
)
from apps.recognition.estimators.colours import LEAST_PIXELS, UNKNOWN, named, plain

THIGHS = ((pose.LEFT_HIP, pose.LEFT_KNEE), (pose.RIGHT_HIP, pose.RIGHT_KNEE))
SHINS = ((pose.LEFT_KNEE, pose.LEFT_ANKLE), (pose.RIGHT_KNEE, pose.RIGHT_ANKLE))
HIPS_PART, THIGH_PART, ABOVE_KNEES_PART, SHIN_PART = (-0.1, 0.3), (0.1, 0.9), (0.75, 0.95), (0.2, 0.8)
SAME_CLOTH = 20.0
BETWEEN_AT, BETWEEN_SIDE = 0.5, 0.15  # shares of the thigh's length
UPRIGHT = 0.7  # minimum vertical share of a standing person's thigh
FOOT_DOWN, FOOT_SIDE = 0.15, 0.2  # shares of the shin's length


@dataclass(frozen=True, slots=True)
class LowerBody:
    """Lower body. `garment`: `trousers`, `shorts`, `skirt` or `unknown`. `colours`: the most frequent first.

    `shoes`: `white`, `black`, `other` or `unknown`.
    """

    garment: str
    colours: tuple[str, ...]
    shoes: str


class LowerGarmentJson(TypedDict):
    type: Annotated[str, words(enums.Garment)]
    colors: list[Annotated[str, words(enums.Colour)]]


class ShoesJson(TypedDict):
    apparent_color: Annotated[str, words(enums.PlainColour)]


class LowerBodyJson(TypedDict):
    """Clothes of the lower body."""

    lower_garment: LowerGarmentJson
    shoes: ShoesJson


class LowerBodyEstimator(BodyEstimator):
    """Estimator by regions of the pose."""

    name = "lower_body"
    feature = "body_attributes"
    faces = True
    result = LowerBody

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[LowerBody]:
        """Estimate each body."""
        return [_lower_body(body) for body in subjects]

    def json(self, result: LowerBody) -> LowerBodyJson:
        """Return `{lower_garment, shoes}`."""
        return {
            "lower_garment": {"type": result.garment, "colors": list(result.colours)},
            "shoes": {"apparent_color": result.shoes},
        }

    def mean(self, results: Sequence[LowerBody]) -> LowerBody:
        """Return the most frequent words."""
        return LowerBody(
            garment=commonest(each.garment for each in results),
            colours=common_colours([each.colours for each in results]),
            shoes=commonest(each.shoes for each in results),
        )

    def columns(self, result: LowerBody) -> Mapping[str, int | list[int]]:
        """Return the numbers of the words."""
        return {
            "lower_garment_type": enums.Garment.of(result.garment),
            "lower_garment_colors": [enums.Colour.of(colour) for colour in result.colours],
            "shoes_apparent_color": enums.PlainColour.of(result.shoes),
        }


def _lower_body(body: BodySubject) -> LowerBody:
    if not _stands(body):
        return LowerBody(UNKNOWN, (UNKNOWN,), UNKNOWN)
    skin = skin_of(body)
    hips = without_skin(_both(body, THIGHS, HIPS_PART), skin)
    cloth = colour_of(hips)
    garment = UNKNOWN
    if skin is not None and cloth is not None and apart(skin, cloth) >= CLOTH_IS_SKIN:
        garment = _garment(body, skin, cloth)
    shown = _both(body, THIGHS, THIGH_PART) if garment == "trousers" else hips
    return LowerBody(garment, named(shown), _shoes(body, skin))


def _garment(body: BodySubject, skin: Lab, cloth: Lab) -> str:
    shins = _both(body, SHINS, SHIN_PART)
    legs = shins if len(shins) >= LEAST_PIXELS else _both(body, THIGHS, ABOVE_KNEES_PART)
    if len(legs) < LEAST_PIXELS:
        return UNKNOWN
    bare = share_like(legs, skin)
    if bare >= BARE_FROM:
        return _skirt_or_shorts(body, skin, cloth)
    shin = colour_of(shins)
    is_cloth = shin is not None and apart(shin, cloth) <= SAME_CLOTH
    return "trousers" if bare <= COVERED_UP_TO and is_cloth else UNKNOWN


def _skirt_or_shorts(body: BodySubject, skin: Lab, cloth: Lab) -> str:
    """Distinguish skirt and shorts by patches on both thighs and between them."""
    left, right = (_along(body, *thigh, BETWEEN_AT) for thigh in THIGHS)
    side = BETWEEN_SIDE * float(np.linalg.norm(body.keypoints[pose.LEFT_KNEE, :2] - body.keypoints[pose.LEFT_HIP, :2]))
    on_left, between, on_right = (patch(body, centre, side) for centre in (left, (left + right) / 2, right))
    clothed = share_like(between, cloth)
    if clothed >= BARE_FROM:
        return "skirt"
    open_between = max(clothed, share_like(between, skin)) <= COVERED_UP_TO
    covered = min(share_like(on_left, cloth), share_like(on_right, cloth)) >= BARE_FROM
    return "shorts" if open_between and covered else UNKNOWN


def _stands(body: BodySubject) -> bool:
    """Return whether both thighs are nearly vertical."""
    if not all(seen(body, *thigh) for thigh in THIGHS):
        return False
    downs = [body.keypoints[knee, :2] - body.keypoints[hip, :2] for hip, knee in THIGHS]
    return all(float(down[1]) >= UPRIGHT * float(np.linalg.norm(down)) for down in downs)


def _shoes(body: BodySubject, skin: Lab | None) -> str:
    """Return the colour of the shoes below the ankles; bare feet are unknown."""
    feet = []
    for knee, ankle in SHINS:
        if seen(body, knee, ankle):
            length = float(np.linalg.norm(body.keypoints[ankle, :2] - body.keypoints[knee, :2]))
            feet.append(patch(body, _along(body, knee, ankle, 1 + FOOT_DOWN), FOOT_SIDE * length))
    pixels = np.concatenate(feet) if feet else np.zeros((0, 3), np.uint8)
    if len(pixels) and skin is not None and share_like(pixels, skin) >= BARE_FROM:
        return UNKNOWN
    return plain(pixels)


def _along(body: BodySubject, start: int, end: int, share: float) -> NDArray[np.float32]:
    first, last = body.keypoints[start, :2], body.keypoints[end, :2]
    along: NDArray[np.float32] = first + (last - first) * np.float32(share)
    return along


def _both(body: BodySubject, limbs: Sequence[tuple[int, int]], part: tuple[float, float]) -> Pixels:
    return np.concatenate([limb(body, *each, *part) for each in limbs])


ESTIMATOR = LowerBodyEstimator()
