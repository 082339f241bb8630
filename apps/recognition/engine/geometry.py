"""Affine transforms between picture, crops and warps, and resampling with them.

A matrix is float64 [2, 3] and maps (x, y, 1) of the picture to (x, y) of the crop. Pixel centres are at integer
coordinates, so a crop of side s covers -0.5 .. s - 0.5.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.recognition.types import Image, Points

Matrix = NDArray[np.float64]

_TO_COMPLEX = np.array([1, 1j])

BLACK, EDGE, MIRROR = cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101
ANTIALIAS_BELOW_SCALE = 0.6  # below this scale bilinear sampling skips source pixels

cv2.setNumThreads(1)  # the engine's workers use all cores; OpenCV's pool would compete with them


def similarity_transform(source: ArrayLike, target: ArrayLike) -> Matrix:
    """Return the rotation, scale and shift that map `source` [N, 2] to `target` [N, 2] with the least squared error.

    Closed form without reflection: with points as complex numbers the map is z → a·z + b. Raises ValueError if the
    source points coincide.
    """
    src, dst = np.asarray(source, np.float64), np.asarray(target, np.float64)
    src_mean, dst_mean = src.mean(0), dst.mean(0)
    src_z, dst_z = (src - src_mean) @ _TO_COMPLEX, (dst - dst_mean) @ _TO_COMPLEX
    spread = float((src_z * src_z.conj()).sum().real)
    if spread < 1e-9:
        raise ValueError("points coincide")
    factor = complex((src_z.conj() * dst_z).sum()) / spread
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, dst_mean - linear @ src_mean])


def square_transform(centre: ArrayLike, side: float, angle: float, size_px: int) -> Matrix:
    """Return the transform from a rotated square to an upright crop of `size_px` pixels.

    The square has its centre at `centre` and sides of `side` pixels, rotated by `angle` radians clockwise on screen.
    """
    x, y = np.asarray(centre, np.float64)
    cos, sin = np.cos(-angle) * size_px / side, np.sin(-angle) * size_px / side
    middle = size_px / 2 - 0.5
    return np.array([[cos, -sin, middle - cos * x + sin * y], [sin, cos, middle - sin * x - cos * y]])


def box_transform(box: ArrayLike, width_px: int, height_px: int) -> Matrix:
    """Return the transform from a box to a crop of `width_px` × `height_px`.

    `box`: x1, y1, x2, y2, with pixel edges at half-integer coordinates.
    """
    left, top, right, bottom = np.asarray(box, np.float64)
    scale_x, scale_y = width_px / (right - left), height_px / (bottom - top)
    return np.array([[scale_x, 0, -scale_x * left - 0.5], [0, scale_y, -scale_y * top - 0.5]])


def compose(first: Matrix, then: Matrix) -> Matrix:
    """Return the matrix that applies `first`, then `then`."""
    return np.column_stack([then[:, :2] @ first[:, :2], then[:, :2] @ first[:, 2] + then[:, 2]])


def inverse(matrix: Matrix) -> Matrix:
    """Return the inverse transform, from crop to picture."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def apply(matrix: Matrix, points: NDArray[np.floating]) -> Points:
    """Return `points` [N, 2] transformed by `matrix`, as float32."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def scale_of(matrix: Matrix) -> float:
    """Return the number of crop pixels per picture pixel."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def resample(image: Image, matrix: Matrix, size_px: int | tuple[int, int], *, border: int = BLACK) -> Image:
    """Return the crop [height, width, 3] of the transform `matrix`.

    `size_px`: side of a square, or (width, height). `border`: pixels outside of the picture: `BLACK`, `EDGE` (repeated
    edge pixels) or `MIRROR`. A crop that is much smaller than its source is averaged first (cv2.INTER_AREA), because
    bilinear sampling alone would alias.
    """
    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    scale = scale_of(matrix)
    if scale < ANTIALIAS_BELOW_SCALE:
        image, matrix = _shrunk_part(image, matrix, scale, size)
    return cv2.warpAffine(  # type: ignore[return-value]
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border
    )


def _shrunk_part(image: Image, matrix: Matrix, scale: float, size: tuple[int, int]) -> tuple[Image, Matrix]:
    corners = apply(inverse(matrix), np.array([[0, 0], [size[0], 0], [0, size[1]], size], np.float64))
    height, width = image.shape[:2]
    margin = 2 / scale
    left, top = np.clip(np.floor(corners.min(0) - margin), 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0) + margin), [left + 1, top + 1], [width, height]).astype(int)
    part = image[top:bottom, left:right]
    small = cv2.resize(
        part,
        (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))),
        interpolation=cv2.INTER_AREA,
    )
    grow_x, grow_y = (right - left) / small.shape[1], (bottom - top) / small.shape[0]
    # From a pixel of the shrunk part to the picture; pixel centres are at integer coordinates in both.
    back = np.array([[grow_x, 0, left + grow_x / 2 - 0.5], [0, grow_y, top + grow_y / 2 - 0.5]])
    return small, compose(back, matrix)  # type: ignore[return-value]


def mirrored(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return [N, H, W, C] flipped left to right."""
    return crops[:, :, ::-1]
