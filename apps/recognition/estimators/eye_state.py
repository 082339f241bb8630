"""Open or closed by a network that looks at each eye, as a step of `eyes_attributes`.

There is none in the embedded set; the pack `recommended` has one (SeetaFace6).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Scores, face_crops
from apps.recognition.networks.labels import CLOSED, OPEN

SAYS_NOTHING_BELOW = 0.05  # of closed and open together: the network sees no eye


@dataclass(frozen=True, slots=True)
class EyeStates:
    """Scores 0..1 by label of the picture's left and right eye."""

    left: Scores
    right: Scores


class EyeStateEstimator(Estimator):
    """One run of the network an eye."""

    name = "eye_state"
    needs = ("mesh",)
    tasks = ("eye_state",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[EyeStates]:
        """Of every face."""
        network = networks.for_task("eye_state")
        output = network.labelled_output
        raw = networks.run(network.name, face_crops(subjects, network.input))[output.name]
        rows = output.activated(raw.reshape(2 * len(subjects), -1))
        scores = [dict(zip(output.labels, map(float, row), strict=True)) for row in rows]
        return [EyeStates(left, right) for left, right in zip(scores[::2], scores[1::2], strict=True)]


def is_closed(scores: Scores) -> bool | None:
    """Whether one eye is closed; None where the network sees no eye."""
    closed, opened = scores[CLOSED], scores.get(OPEN, 1 - scores[CLOSED])
    return None if closed + opened < SAYS_NOTHING_BELOW else closed > opened


ESTIMATOR = EyeStateEstimator()
