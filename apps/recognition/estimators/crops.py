"""Square crops of the face around the mesh, cut from the warp so that a stored warp gives what its photograph gave."""

from collections.abc import Sequence

import cv2
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


def picture_crops(subjects: Sequence[Subject], scale: float, width: int, height: int) -> NDArray[np.uint8]:
    """The mesh's box grown by `scale`, cut from the picture: uint8 RGB [N, height, width, 3].

    As MiniFASNet's authors cut it: the box keeps its proportions, is made smaller and moved where it would leave the
    picture, and is stretched to the input by bilinear sampling.
    """
    crops = []
    for subject in subjects:
        left, top, right, bottom = _inside(subject, scale)
        crops.append(cv2.resize(subject.image[top:bottom, left:right], (width, height), interpolation=cv2.INTER_LINEAR))
    return np.stack(crops)


def _inside(subject: Subject, scale: float) -> tuple[int, int, int, int]:
    limits = np.array(subject.image.shape[1::-1], np.float64)
    box = bounding_box(subject.result("mesh", Mesh).points).astype(np.float64)
    sides = np.maximum(box[2:] - box[:2], 1.0)
    half = sides * min(scale, float((limits / sides).min())) / 2
    centre = np.clip((box[:2] + box[2:]) / 2, half, limits - half)
    first = np.floor(centre - half).clip(0, limits - 1).astype(int)
    last = np.minimum(np.ceil(centre + half).astype(int), limits.astype(int))
    left, top, right, bottom = map(int, (*first, *np.maximum(last, first + 1)))
    return left, top, right, bottom
