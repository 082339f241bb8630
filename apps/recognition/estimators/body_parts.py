"""Pixels of a body's parts by the keypoints of its pose, and their similarity to skin and cloth.

Parts are strips along limbs and the quadrilateral between shoulders and hips. Colours are compared in CIELAB with half
the weight of lightness, because of shadows on arms and legs.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine import pose
from apps.recognition.estimators.base import BodySubject
from apps.recognition.estimators.skin import cheek_pixels, cielab

Pixels = NDArray[np.uint8]  # [N, 3], RGB
Lab = NDArray[np.float64]  # [3]

BARE_FROM, COVERED_UP_TO = 0.5, 0.2  # share of skin in an arm or a leg
CLOTH_IS_SKIN = 18.0  # distance of colours below which cloth and skin cannot be distinguished
LIGHTNESS_WEIGHT = 0.5
FACE_SEEN = 0.5  # minimum score of nose and eyes; in views from behind the score is lower
LEAST_CLOTH = 0.25  # minimum share of a region
ALIKE = 15.0  # maximum weighted distance of a pixel to a colour
TORSO_WIDTH = 0.85  # share of the distance of shoulders or hips
TORSO_DOWN = 1.2  # shoulder distances below the shoulders, if no hips are visible
STRIP_WIDTH = 0.2  # share of a limb's length
MOST_PIXELS = 20_000


def seen(body: BodySubject, *points: int) -> bool:
    """Return whether all of these keypoints are visible and inside of the picture."""
    height, width = body.image.shape[:2]
    x, y, score = body.keypoints[list(points)].T
    return bool(((score >= pose.SEEN) & (x >= 0) & (x < width) & (y >= 0) & (y < height)).all())


def torso(body: BodySubject) -> Pixels:
    """Return the pixels between shoulders and hips, empty if a shoulder is not visible."""
    if not seen(body, pose.LEFT_SHOULDER, pose.RIGHT_SHOULDER):
        return _none()
    right, left = body.keypoints[[pose.RIGHT_SHOULDER, pose.LEFT_SHOULDER], :2]
    if seen(body, pose.LEFT_HIP, pose.RIGHT_HIP):
        right_hip, left_hip = body.keypoints[[pose.RIGHT_HIP, pose.LEFT_HIP], :2]
    else:
        down = min(TORSO_DOWN * float(np.linalg.norm(left - right)), float(body.box[3] - max(right[1], left[1])))
        right_hip, left_hip = right + np.array([0, down]), left + np.array([0, down])
    corners = np.stack([right, left, left_hip, right_hip])
    middles = np.repeat([(right + left) / 2, (left_hip + right_hip) / 2], 2, axis=0)
    return _inside(body, middles + (corners - middles) * TORSO_WIDTH)


def limb(body: BodySubject, start: int, end: int, share_from: float, share_to: float) -> Pixels:
    """Return the pixels of a strip along a limb, between two shares of its length.

    The strip is empty if one of the two keypoints is not visible.
    """
    if not seen(body, start, end):
        return _none()
    first, last = body.keypoints[start, :2], body.keypoints[end, :2]
    along = last - first
    across = np.array([-along[1], along[0]]) * STRIP_WIDTH / 2
    top, bottom = first + along * share_from, first + along * share_to
    return _inside(body, np.stack([top - across, top + across, bottom + across, bottom - across]))


def patch(body: BodySubject, centre: NDArray[np.floating], side: float) -> Pixels:
    """Return the pixels of a square of the picture."""
    half = np.array([max(side, 3) / 2] * 2)
    return _inside(body, np.array([centre + half * corner for corner in ([-1, -1], [1, -1], [1, 1], [-1, 1])]))


def skin_of(body: BodySubject) -> Lab | None:
    """Return the colour of the person's skin by both cheeks, or else around the nose, None without a visible face."""
    if body.face is not None:
        return colour_of(cheek_pixels(body.face.warp, body.face.warp_landmarks5))
    nose, left, right = body.keypoints[[pose.NOSE, pose.LEFT_EYE, pose.RIGHT_EYE]]
    if not seen(body, pose.NOSE, pose.LEFT_EYE, pose.RIGHT_EYE) or min(nose[2], left[2], right[2]) < FACE_SEEN:
        return None
    return colour_of(patch(body, nose[:2], float(np.linalg.norm(left[:2] - right[:2]))))


def without_skin(pixels: Pixels, skin: Lab | None) -> Pixels:
    """Return the pixels of a region without skin, or all pixels if too few remain."""
    if skin is None or not len(pixels):
        return pixels
    rest: Pixels = pixels[_away(pixels, skin) > ALIKE]
    return rest if len(rest) >= LEAST_CLOTH * len(pixels) else pixels


def colour_of(pixels: Pixels) -> Lab | None:
    """Return the median colour, None without pixels."""
    return np.asarray(np.median(cielab(pixels), axis=0)) if len(pixels) else None


def apart(colour: Lab, other: Lab) -> float:
    """Return the weighted distance of two colours."""
    return float(np.linalg.norm((colour - other) * [LIGHTNESS_WEIGHT, 1, 1]))


def share_like(pixels: Pixels, colour: Lab) -> float:
    """Return the share of pixels with this colour."""
    return float((_away(pixels, colour) <= ALIKE).mean())


def _away(pixels: Pixels, colour: Lab) -> NDArray[np.float64]:
    """Return the weighted distance of each pixel to a colour."""
    return np.asarray(np.linalg.norm((cielab(pixels) - colour) * [LIGHTNESS_WEIGHT, 1, 1], axis=1))


def _inside(body: BodySubject, corners: NDArray[np.floating]) -> Pixels:
    """Return the pixels of a quadrilateral [4, 2], subsampled if there are many."""
    height, width = body.image.shape[:2]
    left, top = np.clip(np.floor(corners.min(0)), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)) + 1, 0, [width, height]).astype(int)
    part = body.image[top:bottom, left:right]
    if not part.size:
        return _none()
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.rint(corners - [left, top]).astype(np.int32), 1)
    pixels: Pixels = part[mask.astype(bool)]
    return pixels[:: len(pixels) // MOST_PIXELS + 1]


def _none() -> Pixels:
    return np.zeros((0, 3), np.uint8)
