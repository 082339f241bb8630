"""The five landmarks by which faces are normalised: eyes, nose, corners of the mouth, from the mesh (`engine.mesh`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.types import Points


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks5:
    """`points` float32 [5, 2], picture pixels, as `Face.landmarks5`."""

    points: Points


class Landmarks5Estimator(Estimator):
    """Every face has them; no network of its own."""

    name = "landmarks5"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Landmarks5]:
        """Of every face."""
        return [Landmarks5(subject.landmarks5) for subject in subjects]


ESTIMATOR = Landmarks5Estimator()
