"""Colours of the upper clothing and the length of the sleeves, by the pose and the colour of the face's skin.

The clothing is the region between shoulders and hips, including a tie or folded arms in front of it. Sleeves are short
if the forearm (or else the upper arm) has the colour of the skin, and long if the forearm does not. The length is
unknown if clothing and skin have similar colours, or if no arm is visible. Headwear is always unknown, because no
embedded network estimates it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

from apps.common.filters import enums
from apps.common.json_types import keys, words
from apps.recognition.engine import pose
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.body_means import common_colours, known_mean
from apps.recognition.estimators.body_parts import (
    BARE_FROM,
    CLOTH_IS_SKIN,
    COVERED_UP_TO,
    Lab,
    apart,
    colour_of,
    limb,
    share_like,
    skin_of,
    torso,
    without_skin,
)
from apps.recognition.estimators.colours import LEAST_PIXELS, UNKNOWN, named

FOREARMS = ((pose.LEFT_ELBOW, pose.LEFT_WRIST), (pose.RIGHT_ELBOW, pose.RIGHT_WRIST))
UPPER_ARMS = ((pose.LEFT_SHOULDER, pose.LEFT_ELBOW), (pose.RIGHT_SHOULDER, pose.RIGHT_ELBOW))
FOREARM_PART, UPPER_ARM_PART = (0.2, 0.7), (0.5, 0.9)


@dataclass(frozen=True, slots=True)
class UpperBody:
    """Upper body. `colours`: of the clothing, the most frequent first. `bare`: share of skin, None if unknown."""

    colours: tuple[str, ...]
    bare: float | None

    @property
    def sleeve(self) -> str:
        """Length `short`, `long` or `unknown`."""
        if self.bare is None or COVERED_UP_TO < self.bare < BARE_FROM:
            return UNKNOWN
        return "short" if self.bare >= BARE_FROM else "long"


class HeadwearStateJson(TypedDict):
    predominant_state: Annotated[str, words(enums.Presence)]
    apparent_color: Annotated[str, words(enums.PlainColour)]
    estimations: Annotated[dict[str, float], keys(enums.Presence)]


class SleeveJson(TypedDict):
    predominant_state: Annotated[str, words(enums.SleeveLength)]
    estimations: Annotated[dict[str, float], keys(enums.SleeveLength)]


class UpperClothingJson(TypedDict):
    colors: list[Annotated[str, words(enums.Colour)]]


class UpperBodyJson(TypedDict):
    """Clothes of the upper body."""

    headwear: HeadwearStateJson
    sleeve: SleeveJson
    upper_clothing: UpperClothingJson


class UpperBodyEstimator(BodyEstimator):
    """Estimator by regions of the pose."""

    name = "upper_body"
    feature = "body_attributes"
    faces = True
    result = UpperBody

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[UpperBody]:
        """Estimate each body."""
        return [_upper_body(body) for body in subjects]

    def json(self, result: UpperBody) -> UpperBodyJson:
        """Return `{headwear, sleeve, upper_clothing}`; headwear is always unknown."""
        bare = None if result.sleeve == UNKNOWN else result.bare
        return {
            "headwear": {
                "predominant_state": enums.Presence.UNKNOWN.word,
                "apparent_color": UNKNOWN,
                "estimations": {"yes": 0.0, "no": 0.0, "unknown": 1.0},
            },
            "sleeve": {
                "predominant_state": result.sleeve,
                "estimations": {
                    "long": 0.0 if bare is None else shapes.score(1 - bare),
                    "short": 0.0 if bare is None else shapes.score(bare),
                    "unknown": float(bare is None),
                },
            },
            "upper_clothing": {"colors": list(result.colours)},
        }

    def mean(self, results: Sequence[UpperBody]) -> UpperBody:
        """Return the most frequent colours and the mean share of skin."""
        return UpperBody(common_colours([each.colours for each in results]), known_mean(each.bare for each in results))

    def columns(self, result: UpperBody) -> Mapping[str, int | list[int]]:
        """Return the numbers of the words."""
        return {
            "headwear_state": enums.Presence.UNKNOWN,
            "headwear_apparent_color": enums.PlainColour.UNKNOWN,
            "sleeve_length": enums.SleeveLength.of(result.sleeve),
            "upper_clothing_colors": [enums.Colour.of(colour) for colour in result.colours],
        }


def _upper_body(body: BodySubject) -> UpperBody:
    skin = skin_of(body)
    clothing = without_skin(torso(body), skin)
    return UpperBody(named(clothing), _bare(body, skin, colour_of(clothing)))


def _bare(body: BodySubject, skin: Lab | None, cloth: Lab | None) -> float | None:
    if skin is None or cloth is None or apart(skin, cloth) < CLOTH_IS_SKIN:
        return None
    forearms = [limb(body, *arm, *FOREARM_PART) for arm in FOREARMS]
    if bare := [share_like(part, skin) for part in forearms if len(part) >= LEAST_PIXELS]:
        return max(bare)
    upper_arms = [limb(body, *arm, *UPPER_ARM_PART) for arm in UPPER_ARMS]
    bare = [share_like(part, skin) for part in upper_arms if len(part) >= LEAST_PIXELS]
    return max(bare) if bare and max(bare) >= BARE_FROM else None


ESTIMATOR = UpperBodyEstimator()
