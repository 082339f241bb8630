"""Five landmarks for the alignment of faces: eyes, nose, corners of the mouth, from the mesh (`engine.mesh`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.types import Points


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks5:
    """Five landmarks. `points`: float32 [5, 2], picture pixels, as `Face.landmarks5`."""

    points: Points


class Landmarks5Estimator(Estimator):
    """Estimator that returns the landmarks of the detection, without a network of its own."""

    name = "landmarks5"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Landmarks5]:
        """Estimate each face."""
        return [Landmarks5(subject.landmarks5) for subject in subjects]


ESTIMATOR = Landmarks5Estimator()
