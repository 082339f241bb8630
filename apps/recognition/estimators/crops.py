"""Square crops of the face around the mesh, cut from the warp so that a stored warp gives what its photograph gave."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import apply, resample, square_transform
from apps.recognition.engine.mesh import Mesh, bounding_box
from apps.recognition.estimators.base import Subject
from apps.recognition.types import Points


def mesh_in_warp(subject: Subject) -> Points:
    """The mesh's points in the warp, float32 [468, 2]."""
    return apply(subject.warp_matrix, subject.result("mesh", Mesh).points)


def mesh_crops(subjects: Sequence[Subject], scale: float, size_px: int) -> NDArray[np.uint8]:
    """The squares around each face's mesh, grown by `scale`: uint8 RGB [N, size, size, 3]."""
    crops = []
    for subject in subjects:
        box = bounding_box(mesh_in_warp(subject))
        side = float(max(box[2] - box[0], box[3] - box[1])) * scale
        matrix = square_transform((box[:2] + box[2:]) / 2, side, 0.0, size_px)
        crops.append(resample(subject.warp, matrix, size_px))
    return np.stack(crops)
