"""68 landmarks in the order of iBUG 300-W, taken from the mesh.

The vertices are those of the common mapping between MediaPipe's mesh and dlib's points. The jaw line is the mesh's own,
slightly inside of the visible contour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.engine.mesh import Mesh
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.types import Points, PointsJson

VERTICES = (
    *(
        127,
        234,
        93,
        132,
        58,
        136,
        150,
        176,
        152,
        400,
        379,
        365,
        288,
        361,
        323,
        454,
        356,
    ),  # jaw, from the image's left to right
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose: bridge, then its lower edge
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks68:
    """68 landmarks. `points`: float32 [68, 2], picture pixels."""

    points: Points


class Landmarks68Estimator(Estimator):
    """Estimator that selects vertices of the mesh, without a network of its own."""

    name = "landmarks68"
    needs = ("mesh",)
    result = Landmarks68

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Landmarks68]:
        """Estimate each face."""
        return [Landmarks68(subject.result("mesh", Mesh).points[list(VERTICES)]) for subject in subjects]

    def json(self, result: Landmarks68) -> PointsJson:
        """Return the points as `[x, y]`."""
        return shapes.pixels(result.points)


ESTIMATOR = Landmarks68Estimator()
