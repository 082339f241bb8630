"""Crops of a face as inputs of networks, around the mesh, the detector's box or the eyes.

Crops of the mesh are cut from the warp, so that a stored sample gives the same result as its photograph. Crops around
the detector's box have the orientation of the warp, but are cut from the picture, which has more detail of a large
face. Outside of the picture its edge is repeated.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import EDGE, apply, box_transform, compose, inverse, resample, square_transform
from apps.recognition.engine.mesh import FLAG_THRESHOLD, Mesh, bounding_box
from apps.recognition.estimators.base import Subject
from apps.recognition.types import Points

# YuNet's box relative to the mesh's box, both in the warp: medians of 58 faces. The middle 90 % have a width of .88 to
# 1.05 and a height of 1.10 to 1.29 of the mesh's box.
BOX_WIDTH, BOX_HEIGHT, BOX_UP = 0.99, 1.2, 0.066
SPARE = 0.02
USUAL_BOX = np.array([56.0, 23.5, 192.0, 214.5])  # medians of the box itself
# Sides around the middle of the eyes, in eye distances.
EYE_SIDE = 0.7
BAND_HALF_WIDTH, BAND_ABOVE, BAND_BELOW_NOSE, LEAST_NOSE_DROP = 1.4, 0.35, 0.1, 0.2


def mesh_in_warp(subject: Subject) -> Points:
    """Return the mesh's points in the frame of the warp, float32 [468, 2]."""
    return apply(subject.warp_matrix, subject.result("mesh", Mesh).points)


def mesh_crops(subjects: Sequence[Subject], scale: float, size_px: int) -> NDArray[np.uint8]:
    """Return the squares around the meshes, grown by `scale`: uint8 RGB [N, size, size, 3]."""
    crops = []
    for subject in subjects:
        box = bounding_box(mesh_in_warp(subject))
        side = float(max(box[2] - box[0], box[3] - box[1])) * scale
        matrix = square_transform((box[:2] + box[2:]) / 2, side, 0.0, size_px)
        crops.append(resample(subject.warp, matrix, size_px))
    return np.stack(crops)


def picture_crops(subjects: Sequence[Subject], scale: float, width: int, height: int) -> NDArray[np.uint8]:
    """Return the boxes of the meshes, grown by `scale` and cut from the picture: uint8 RGB [N, height, width, 3].

    The method is that of MiniFASNet's authors. The box keeps its proportions, is shrunk and moved to stay inside the
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


def face_box(subject: Subject) -> NDArray[np.float64]:
    """Return the box x1, y1, x2, y2 of a face detector, in pixels of the warp, from the mesh.

    If the mesh does not confirm the face (half of it may be covered), return the usual box in a warp.
    """
    if subject.result("mesh", Mesh).flag < FLAG_THRESHOLD:
        return USUAL_BOX
    box = bounding_box(mesh_in_warp(subject)).astype(np.float64)
    width, height = np.maximum(box[2:] - box[:2], 1.0)
    centre = (box[:2] + box[2:]) / 2 - [0, BOX_UP * height]
    half = np.array([BOX_WIDTH * width, BOX_HEIGHT * height]) / 2
    return np.concatenate([centre - half, centre + half])


def grown(box: NDArray[np.float64], scale: float, *, square: bool) -> NDArray[np.float64]:
    """Return the box x1, y1, x2, y2 grown around its centre. `square`: make it a square of the longer side."""
    half = (box[2:] - box[:2]) / 2 * scale
    if square:
        half = np.repeat(half.max(), 2)
    centre = (box[:2] + box[2:]) / 2
    return np.concatenate([centre - half, centre + half])


def face_square_crops(subjects: Sequence[Subject], scale: float, width: int, height: int) -> NDArray[np.uint8]:
    """Return the squares around the detector's boxes, grown by `scale`: uint8 RGB [N, height, width, 3]."""
    return _boxes(subjects, [grown(face_box(subject), scale, square=True) for subject in subjects], width, height)


def face_box_crops(subjects: Sequence[Subject], scale: float, width: int, height: int) -> NDArray[np.uint8]:
    """Return the detector's boxes, grown by `scale` and stretched: uint8 RGB [N, height, width, 3]."""
    return _boxes(subjects, [grown(face_box(subject), scale, square=False) for subject in subjects], width, height)


def face_square_inside(subject: Subject, scale: float) -> bool:
    """Return whether the square of `face_square_crops` is inside of the picture, with a tolerance of `SPARE`."""
    left, top, right, bottom = grown(face_box(subject), scale * (1 - 2 * SPARE), square=True)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    height, width = subject.image.shape[:2]
    x, y = apply(inverse(subject.warp_matrix), corners).T
    return bool(x.min() >= -0.5 and y.min() >= -0.5 and x.max() <= width - 0.5 and y.max() <= height - 0.5)


def eye_crops(subjects: Sequence[Subject], width: int, height: int) -> NDArray[np.uint8]:
    """Return squares around both eyes, image-left eye first: uint8 RGB [2 N, height, width, 3]."""
    boxes = []
    for subject in subjects:
        eyes = subject.warp_landmarks5[:2].astype(np.float64)
        half = EYE_SIDE / 2 * _eye_distance(eyes)
        boxes += [np.concatenate([eye - half, eye + half]) for eye in eyes]
    return _boxes([subject for subject in subjects for _ in range(2)], boxes, width, height)


def eye_band_crops(subjects: Sequence[Subject], width: int, height: int) -> NDArray[np.uint8]:
    """Return head-wide bands from the brows to the tip of the nose: uint8 RGB [N, height, width, 3]."""
    boxes = []
    for subject in subjects:
        points = subject.warp_landmarks5.astype(np.float64)
        middle, distance = points[:2].mean(0), _eye_distance(points)
        drop = max(points[2, 1] - middle[1], LEAST_NOSE_DROP * distance)
        left, right = middle[0] - BAND_HALF_WIDTH * distance, middle[0] + BAND_HALF_WIDTH * distance
        top, bottom = middle[1] - BAND_ABOVE * distance, middle[1] + drop + BAND_BELOW_NOSE * distance
        boxes.append(np.array([left, top, right, bottom]))
    return _boxes(subjects, boxes, width, height)


def _eye_distance(points: NDArray[np.float64]) -> float:
    return max(float(np.linalg.norm(points[1] - points[0])), 1.0)


def _boxes(
    subjects: Sequence[Subject], boxes: Sequence[NDArray[np.float64]], width: int, height: int
) -> NDArray[np.uint8]:
    """Return crops of the pictures by boxes in pixels of each subject's warp."""
    crops = []
    for subject, box in zip(subjects, boxes, strict=True):
        matrix = compose(subject.warp_matrix, box_transform(box, width, height))
        crops.append(resample(subject.image, matrix, (width, height), border=EDGE))
    return np.stack(crops)
