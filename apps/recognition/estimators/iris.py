"""Eye contours and irises of both eyes, a step of `eyes_attributes` and `gaze`.

The network expects the person's right eye (image-left); the crop of the other eye is mirrored. The crop is a square of
2.3 eye widths around the middle of the eye's corners, rotated by their angle, as in MediaPipe Iris.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.engine.geometry import Matrix, apply, inverse, resample, square_transform
from apps.recognition.engine.mesh import EYE_CORNERS, Mesh
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.types import Points

CROP_EYE_WIDTHS = 2.3
OUTER_CORNER, INNER_CORNER = 0, 8
LOWER_LID = slice(1, 8)
UPPER_LID = slice(9, 16)
IRIS = slice(71, 76)  # the centre and four points of the edge


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """One eye. `crop`: float32 [76, 2], points in crop pixels with the outer corner on the left.

    `points`: float32 [76, 2], the same points in the frame of the picture.
    """

    crop: Points
    points: Points


@dataclass(frozen=True, slots=True, eq=False)
class Eyes:
    """Image-left and image-right eye."""

    left: Eye
    right: Eye


class IrisEstimator(Estimator):
    """Estimator with one batch of the iris network for both eyes of all faces."""

    name = "iris"
    needs = ("mesh",)
    tasks = ("iris",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Eyes]:
        """Return `Eyes` of each face."""
        network = networks.for_task("iris")
        size_px = network.input.width
        matrices = [
            _eye_matrix(subject.result("mesh", Mesh).points, side, size_px) for subject in subjects for side in (0, 1)
        ]
        crops = [
            resample(subjects[index // 2].image, matrix, size_px)[:, :: -1 if index % 2 else 1]
            for index, matrix in enumerate(matrices)
        ]
        raw = networks.run(network.name, np.stack(crops))["eye"].reshape(len(crops), 76, 3)[..., :2]
        eyes = [_eye(points, matrices[index], size_px, mirrored=index % 2 == 1) for index, points in enumerate(raw)]
        return [Eyes(left, right) for left, right in zip(eyes[::2], eyes[1::2], strict=True)]


def _eye_matrix(points: Points, side: int, size_px: int) -> Matrix:
    first, second = (points[vertex] for vertex in sorted(EYE_CORNERS[side], key=lambda vertex: points[vertex][0]))
    across = second - first
    width = max(float(np.linalg.norm(across)), 1.0)
    angle = float(np.arctan2(across[1], across[0]))
    return square_transform((first + second) / 2, width * CROP_EYE_WIDTHS, angle, size_px)


def _eye(crop: Points, matrix: Matrix, size_px: int, *, mirrored: bool) -> Eye:
    upright = crop.copy()
    if mirrored:
        upright[:, 0] = size_px - 1 - upright[:, 0]
    return Eye(crop, apply(inverse(matrix), upright))


ESTIMATOR = IrisEstimator()
