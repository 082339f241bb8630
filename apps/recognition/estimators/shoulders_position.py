"""Shoulders parallel to the camera, not parallel, or hidden, by MoveNet's two shoulder points.

The input is a window of nine eye distances around the chest. Each shoulder is the best point of its heat map, weighted
by a Gaussian around its usual position in frontal persons (medians of 20 photographs).

Hidden: a shoulder scores below .3, is outside of the picture, or is less than 1.5 eye distances below the eyes.
Parallel: the line of the shoulders is level within 10°, their distance is at least 3.3 eye distances, and the face is
above their middle, within an eighth of their distance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import Matrix, apply, inverse, resample, square_transform
from apps.recognition.estimators.base import Estimator, Networks, Subject

SHOULDERS = ("parallel", "non-parallel", "hidden")
WINDOW, WINDOW_BELOW_EYES = 9.0, 2.2  # eye distances
LEFT, RIGHT = 6, 5  # keypoints in the image's order; the person's left shoulder is image-right
EXPECTED_SIDE, EXPECTED_BELOW, EXPECTED_SPREAD = 1.9, 2.9, 1.6  # eye distances from the eyes' midpoint
SCORE_FROM, BELOW_EYES_FROM = 0.3, 1.5
LEVEL_DEG, LEAST_DISTANCE, OFF_MIDDLE = 10.0, 3.3, 0.125


@dataclass(frozen=True, slots=True)
class ShouldersPosition:
    """Shoulders. `state`: one of `SHOULDERS`. `tilt`: clockwise angle of their line in degrees, None if hidden."""

    state: str
    tilt: float | None = None


class ShouldersPositionEstimator(Estimator):
    """Estimator with one run of the pose network per face."""

    name = "shoulders_position"
    feature = "face_quality"
    tasks = ("body_pose",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[ShouldersPosition]:
        """Estimate each face."""
        network = networks.for_task("body_pose")
        size_px = network.input.width
        matrices = [_window(subject, size_px) for subject in subjects]
        crops = [resample(subject.image, matrix, size_px) for subject, matrix in zip(subjects, matrices, strict=True)]
        outputs = networks.run(network.name, np.stack(crops))
        return [
            _position(subject, matrix, heat, offset, size_px)
            for subject, matrix, heat, offset in zip(subjects, matrices, outputs["kpt"], outputs["offset"], strict=True)
        ]


def _window(subject: Subject, size_px: int) -> Matrix:
    eyes, distance = _eyes(subject)
    return square_transform(eyes + np.array([0, WINDOW_BELOW_EYES * distance]), WINDOW * distance, 0.0, size_px)


def _eyes(subject: Subject) -> tuple[NDArray[np.float32], float]:
    """Return midpoint and distance of the eyes."""
    left, right = subject.landmarks5[:2]
    return (left + right) / 2, max(1.0, float(np.linalg.norm(right - left)))


def _position(
    subject: Subject, matrix: Matrix, heat: NDArray[np.float32], offset: NDArray[np.float32], size_px: int
) -> ShouldersPosition:
    eyes, distance = _eyes(subject)
    seen = [
        _shoulder(heat[:, :, point], offset[:, :, 2 * point : 2 * point + 2], side, size_px)
        for point, side in ((LEFT, -EXPECTED_SIDE), (RIGHT, EXPECTED_SIDE))
    ]
    left, right = apply(inverse(matrix), np.stack([point for point, _ in seen]))
    height, width = subject.image.shape[:2]
    highest = eyes[1] + BELOW_EYES_FROM * distance
    inside = all(0 <= x < width and highest <= y < height for x, y in (left, right))
    if not inside or min(score for _, score in seen) < SCORE_FROM:
        return ShouldersPosition("hidden")
    across = right - left
    apart = float(np.linalg.norm(across))
    tilt = float(np.degrees(np.arctan2(across[1], across[0])))
    off_middle = abs(float(((left + right) / 2 - eyes)[0])) / max(apart, 1.0)
    parallel = abs(tilt) <= LEVEL_DEG and apart >= LEAST_DISTANCE * distance and off_middle <= OFF_MIDDLE
    return ShouldersPosition("parallel" if parallel else "non-parallel", tilt)


def _shoulder(
    heat: NDArray[np.float32], offset: NDArray[np.float32], side: float, size_px: int
) -> tuple[NDArray[np.float32], float]:
    """Return position in the crop (x, y) and score of a shoulder.

    `heat`: [48, 48]. `offset`: [48, 48, 2] in cells, y first.
    """
    cell_px = size_px / heat.shape[0]
    eye_distance_cells = heat.shape[0] / WINDOW
    middle = heat.shape[0] / 2
    x = middle + side * eye_distance_cells
    y = middle + (EXPECTED_BELOW - WINDOW_BELOW_EYES) * eye_distance_cells
    rows, columns = np.mgrid[: heat.shape[0], : heat.shape[1]]
    spread = EXPECTED_SPREAD * eye_distance_cells
    weight = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2))
    row, column = np.unravel_index(int((heat * weight).argmax()), heat.shape)
    place = np.array([column + offset[row, column, 1], row + offset[row, column, 0]], np.float32) * cell_px
    return place, float(heat[row, column])


ESTIMATOR = ShouldersPositionEstimator()
