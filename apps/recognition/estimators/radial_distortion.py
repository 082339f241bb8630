"""Radial distortion (fisheye): the coefficient k that makes the lines of the picture straight.

Straight objects remain straight in pictures of a good lens, and bow away from the centre in those of a fisheye lens.
Every edge pixel with its direction is corrected by r → r·(1 + k·r²), with r in half diagonals, for several k. It then
votes for its line (Hough transform, after Alemán-Flores et al., IPOL 2014). The k with the most concentrated votes is
the result, if it is distinct from the others. Pictures without straight objects give None. The face gives no evidence,
because the mesh's proportions do not change with a distortion of 1.

Of 34 pictures 11 get a result, all undistorted. Of copies distorted by .2 nine get a result, eight of them distorted.
Of copies distorted by .5 three get a result, all distorted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.types import Image

LADDER = (-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
DISTORTED_FROM = 0.1
PEAK_RATIO_MIN = 1.1  # minimum ratio of the best k to the best other k that is not a neighbour
LONG_SIDE_PX = 480
EDGE_LOW, EDGE_HIGH = 40, 100  # thresholds of Canny for grey 0..255
ANGLES, DISTANCES, REACH = (
    120,
    240,
    1.2,
)  # bins of lines; REACH: largest distance in half diagonals
LINES = 40  # number of compared strongest bins


@dataclass(frozen=True, slots=True)
class RadialDistortion:
    """Radial distortion. `bending`: k of the module, positive for barrel distortion (fisheye), 0 for none."""

    bending: float

    @property
    def score(self) -> float:
        """Score of a distortion, 0..1: .5 for a `bending` of `DISTORTED_FROM`."""
        return min(1.0, max(0.0, self.bending / (2 * DISTORTED_FROM)))


class RadialDistortionEstimator(Estimator):
    """Estimator by image statistics of the whole picture, without a network of its own."""

    name = "radial_distortion"
    feature = "face_quality"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[RadialDistortion | None]:
        """Return the picture's distortion for each face; None for pictures without straight objects."""
        return [_distortion(subjects[0].image)] * len(subjects)


def _distortion(image: Image) -> RadialDistortion | None:
    places, directions = _edges(image)
    strengths = [_strength(places, directions, k) for k in LADDER]
    best = int(np.argmax(strengths))
    below, above = strengths[: max(0, best - 1)], strengths[best + 2 :]
    if not below or not above or strengths[best] < PEAK_RATIO_MIN * max(*below, *above):
        return None
    return RadialDistortion(LADDER[best])


def _edges(image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions of edge pixels in half diagonals from the centre, and unit vectors along edges, each [N, 2]."""
    scale = LONG_SIDE_PX / max(image.shape[:2])
    size_px = [max(1, round(side * scale)) for side in (image.shape[1], image.shape[0])]
    small = cv2.resize(image, size_px, interpolation=cv2.INTER_AREA)
    grey = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    rows, columns = np.nonzero(cv2.Canny(grey, EDGE_LOW, EDGE_HIGH))
    along_x = -cv2.Sobel(grey, cv2.CV_32F, 0, 1)[rows, columns]
    along_y = cv2.Sobel(grey, cv2.CV_32F, 1, 0)[rows, columns]
    directions = np.stack([along_x, along_y], 1) / (np.hypot(along_x, along_y) + 1e-6)[:, None]
    height, width = grey.shape
    places = (np.stack([columns, rows], 1) - [(width - 1) / 2, (height - 1) / 2]) / (np.hypot(width, height) / 2)
    return places, directions.astype(np.float64)


def _strength(places: NDArray[np.float64], directions: NDArray[np.float64], k: float) -> float:
    """Return the concentration of votes after a correction by k: the sum of squares of the strongest bins."""
    grown = 1 + k * (places**2).sum(1, keepdims=True)
    unbent = places * grown
    turned = directions * grown + 2 * k * (places * directions).sum(1, keepdims=True) * places
    angle = np.arctan2(turned[:, 1], turned[:, 0]) % np.pi
    distance = (unbent[:, 1] * np.cos(angle) - unbent[:, 0] * np.sin(angle)) / (1 + k / 2)
    row = np.minimum((angle * (ANGLES / np.pi)).astype(np.intp), ANGLES - 1)
    column = np.clip(((distance / REACH + 1) * (DISTANCES / 2)).astype(np.intp), 0, DISTANCES - 1)
    counts = np.bincount(row * DISTANCES + column, minlength=ANGLES * DISTANCES).astype(np.float32)
    votes = cv2.GaussianBlur(counts.reshape(ANGLES, DISTANCES), (3, 3), 0.7)
    return float((np.partition(votes, -LINES, axis=None)[-LINES:] ** 2).sum())


ESTIMATOR = RadialDistortionEstimator()
