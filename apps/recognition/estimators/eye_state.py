"""State of each eye, open or closed, by a network; a step of `eyes_attributes`.

The embedded set has no network for it; the pack `recommended` has one (SeetaFace6).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Scores, face_crops
from apps.recognition.networks.labels import CLOSED, OPEN

SAYS_NOTHING_BELOW = 0.05  # sum of `closed` and `open`; below it the network detects no eye


@dataclass(frozen=True, slots=True)
class EyeStates:
    """Scores 0..1 by label of the image-left and the image-right eye."""

    left: Scores
    right: Scores


class EyeStateEstimator(Estimator):
    """Estimator with one run of the network per eye."""

    name = "eye_state"
    needs = ("mesh",)
    tasks = ("eye_state",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[EyeStates]:
        """Estimate each face."""
        network = networks.for_task("eye_state")
        output = network.labelled_output
        raw = networks.run(network.name, face_crops(subjects, network.input))[output.name]
        rows = output.activated(raw.reshape(2 * len(subjects), -1))
        scores = [dict(zip(output.labels, map(float, row), strict=True)) for row in rows]
        return [EyeStates(left, right) for left, right in zip(scores[::2], scores[1::2], strict=True)]


def is_closed(scores: Scores) -> bool | None:
    """Return whether one eye is closed, None if the network detects no eye."""
    closed, opened = scores[CLOSED], scores.get(OPEN, 1 - scores[CLOSED])
    return None if closed + opened < SAYS_NOTHING_BELOW else closed > opened


ESTIMATOR = EyeStateEstimator()
