"""A backpack, by the object detector's class of that name (COCO) on a closer look at each body.

`no` is said only of bodies whose shoulders are seen: the network has then looked at the place and found nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from apps.common.filters import enums
from apps.recognition.engine import bodies, objects, pose
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.body_parts import seen
from apps.recognition.estimators.colours import UNKNOWN
from apps.recognition.estimators.shapes import Json

WINDOW_SCALE = 1.25
LOOK_FROM = 0.05  # the lowest score that is read
WORN = 0.5  # the share of the backpack that lies in the body's box


@dataclass(frozen=True, slots=True)
class Accessories:
    """`backpack`: the score of the best one, 0..1, and the `threshold` from which it is one; `seen`: the shoulders."""

    backpack: float
    threshold: float
    shoulders_seen: bool

    @property
    def backpack_state(self) -> str:
        """`yes`, `no` or `unknown`."""
        if self.backpack >= self.threshold:
            return "yes"
        return "no" if self.shoulders_seen else UNKNOWN


class AccessoriesEstimator(BodyEstimator):
    """One run of the network a body."""

    name = "accessories"
    feature = "body_attributes"
    tasks = ("object_detector",)
    result = Accessories

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[Accessories]:
        """Of every body."""
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

    def json(self, result: Accessories) -> Json:
        """`{backpack}`."""
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
        """The mean score of the pictures that tell; of all where none does."""
        telling = [each for each in results if each.backpack_state != UNKNOWN] or results
        return Accessories(
            backpack=float(np.mean([each.backpack for each in telling])),
            threshold=telling[0].threshold,
            shoulders_seen=any(each.shoulders_seen for each in telling),
        )

    def columns(self, result: Accessories) -> Mapping[str, int]:
        """The number of the state."""
        return {"backpack_state": enums.Presence.of(result.backpack_state)}


ESTIMATOR = AccessoriesEstimator()
