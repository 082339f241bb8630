"""Backpack of a body, by the object detector's class `backpack` (COCO) on a crop around each body.

The state is `no` only if the shoulders are visible, because only then the crop shows the place of a backpack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

import numpy as np

from apps.common.filters import enums
from apps.common.json_types import keys, words
from apps.recognition.engine import bodies, objects, pose
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.body_parts import seen
from apps.recognition.estimators.colours import UNKNOWN

WINDOW_SCALE = 1.25
LOOK_FROM = 0.05  # lowest score of a candidate
WORN = 0.5  # minimum share of the backpack inside of the body's box


@dataclass(frozen=True, slots=True)
class Accessories:
    """Backpack. `backpack`: highest score, 0..1. `threshold`: minimum score. `seen`: whether shoulders are visible."""

    backpack: float
    threshold: float
    shoulders_seen: bool

    @property
    def backpack_state(self) -> str:
        """State `yes`, `no` or `unknown`."""
        if self.backpack >= self.threshold:
            return "yes"
        return "no" if self.shoulders_seen else UNKNOWN


class BackpackJson(TypedDict):
    predominant_state: Annotated[str, words(enums.Presence)]
    estimations: Annotated[dict[str, float], keys(enums.Presence)]


class AccessoriesJson(TypedDict):
    """Accessories of a body."""

    backpack: BackpackJson


class AccessoriesEstimator(BodyEstimator):
    """Estimator with one run of the network per body."""

    name = "accessories"
    feature = "body_attributes"
    tasks = ("object_detector",)
    result = Accessories

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[Accessories]:
        """Estimate each body."""
        network = networks.for_task("object_detector")
        image = subjects[0].image
        windows = [objects.around(body.box, WINDOW_SCALE) for body in subjects]
        outputs = networks.run(network.name, objects.crops(image, windows))
        results = []
        for row, (body, window) in enumerate(zip(subjects, windows, strict=True)):
            own = {name: values[row : row + 1] for name, values in outputs.items()}
            found = objects.decode(own, [window], image, [objects.BACKPACK], LOOK_FROM, network.threshold("nms_iou"))
            scores = [each.score for each in found if bodies.share_inside(each.box, body.box) >= WORN]
            shoulders = seen(body, pose.LEFT_SHOULDER, pose.RIGHT_SHOULDER)
            results.append(Accessories(max(scores, default=0.0), network.threshold("person"), shoulders))
        return results

    def json(self, result: Accessories) -> AccessoriesJson:
        """Return `{backpack}`."""
        state = result.backpack_state
        known = state != UNKNOWN
        return {
            "backpack": {
                "predominant_state": state,
                "estimations": {
                    "yes": shapes.score(result.backpack) if known else 0.0,
                    "no": shapes.score(1 - result.backpack) if known else 0.0,
                    "unknown": float(not known),
                },
            }
        }

    def mean(self, results: Sequence[Accessories]) -> Accessories:
        """Return the mean score of the pictures with a known state; without such pictures, of all."""
        telling = [each for each in results if each.backpack_state != UNKNOWN] or results
        return Accessories(
            backpack=float(np.mean([each.backpack for each in telling])),
            threshold=telling[0].threshold,
            shoulders_seen=any(each.shoulders_seen for each in telling),
        )

    def columns(self, result: Accessories) -> Mapping[str, int]:
        """Return the number of the state."""
        return {"backpack_state": enums.Presence.of(result.backpack_state)}


ESTIMATOR = AccessoriesEstimator()
