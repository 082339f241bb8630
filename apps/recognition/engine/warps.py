"""Face warp of 250×250 pixels: one aligned, upright face, from which the crop of each descriptor network is cut.

The template has the proportions of ArcFace's 112×112 template (InsightFace), scaled to an eye distance of 60 px. Its
position keeps all usual crops inside of the warp. Measured on 58 faces, frontal to profile: ArcFace's 112 crop covers
28..219 × 11..202 of the warp, dlib's 150 crop at most 29..220 × 37..228, the 128 crop of
face-reidentification-retail-0095 32..215 × 17..200. A crop depends only on the warp and its five points. The descriptor
of a stored sample therefore equals the descriptor of its photograph.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.geometry import Matrix, apply, mirrored, resample, similarity_transform
from apps.recognition.engine.mesh import FIVE_POINTS
from apps.recognition.networks.specs import Alignment
from apps.recognition.types import WARP_SIZE_PX, Image, Points

# (ArcFace point - 56) * 60 / 35.24 + (124.5, 107.7)
WARP_TEMPLATE = np.array([[94.4, 100.4], [154.4, 100.0], [124.5, 134.5], [99.9, 169.6], [149.6, 169.3]], np.float64)


def warp_matrix(landmarks5: Points) -> Matrix:
    """Return the transform from the picture to the warp for five landmarks [5, 2] of the picture."""
    return similarity_transform(landmarks5, WARP_TEMPLATE)


def cut_warp(image: Image, landmarks5: Points) -> tuple[Image, Points, Matrix]:
    """Return the face warp, uint8 RGB [250, 250, 3], its five landmarks, float32 [5, 2], and the transform to it."""
    matrix = warp_matrix(landmarks5)
    return resample(image, matrix, WARP_SIZE_PX), apply(matrix, landmarks5), matrix


def aligned_crops(warps: Sequence[Image], landmarks5: Sequence[Points], alignment: Alignment) -> NDArray[np.uint8]:
    """Return the crops of a descriptor network, uint8 RGB [N, H, W, 3], from warps and their five landmarks.

    Mirror averaging gives 2 N crops: all unmirrored ones, then all mirrored ones.
    """
    crops = np.stack(
        [
            resample(warp, similarity_transform(points, alignment.template), alignment.crop_width)
            for warp, points in zip(warps, landmarks5, strict=True)
        ]
    )
    return np.concatenate([crops, mirrored(crops)]) if alignment.mirror_average else crops


def check_alignment(network: str, alignment: Alignment | None) -> Alignment:
    """Return the alignment. Raises EngineError if it is missing or needs other points than the five of a warp."""
    if alignment is None or alignment.mesh_points != FIVE_POINTS or alignment.crop_height != alignment.crop_width:
        raise EngineError(
            f"Network {network} must be aligned to a square crop by the five landmarks with mesh_points "
            f"{[list(group) for group in FIVE_POINTS]}."
        )
    return alignment
