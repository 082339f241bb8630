"""Detection of the bodies of one picture: boxes, poses, warps, and their faces."""

from collections.abc import Sequence

import numpy as np

from apps.common import errors
from apps.common.errors import LunaError
from apps.recognition.engine import bodies, objects, pose
from apps.recognition.engine.bodies import Box
from apps.recognition.engine.detection import corners_of, overlapping
from apps.recognition.engine.objects import PERSON, Found, Window
from apps.recognition.estimators.base import BodySubject, Networks, Subject
from apps.recognition.types import BODY_WARP_HEIGHT_PX, BODY_WARP_WIDTH_PX, Image, Keypoints, Rect

CROWD_FROM = 3  # persons; with so many or more the detector also runs on tiles
BOX_WINDOW_SCALE = 1.5


def find_bodies(
    image: Image, boxes: Sequence[Rect], *, trusted: bool, networks: Networks, faces: int, score: float | None
) -> list[BodySubject]:
    """Return the bodies of a picture, or only those in `boxes` if boxes are given.

    `faces`: number of faces in the picture. `score`: lowest accepted score, None for the detector's own threshold.
    Raises LunaError INVALID_RECTANGLE for a box outside of the picture.
    """
    if boxes:
        found = [each for box in boxes if (each := _in_box(image, box, trusted, networks, score)) is not None]
        return _subjects(image, found, _keypoints(image, [each.box for each in found], networks))
    windows = [objects.whole(image)]
    found = _detected(image, windows, networks, score)
    if max(len(found), faces) >= CROWD_FROM and (tiles := objects.tiles(image)):
        found = _detected(image, windows + tiles, networks, score)
    keypoints = _keypoints(image, [each.box for each in found], networks)
    kept = bodies.persons([each.box for each in found], keypoints)
    return _subjects(image, [found[index] for index in kept], [keypoints[index] for index in kept])


def body_of_warp(warp: Image, networks: Networks) -> BodySubject:
    """Return the body in a body warp. Raises LunaError WRONG_IMAGE_SIZE for another size."""
    if warp.shape[:2] != (BODY_WARP_HEIGHT_PX, BODY_WARP_WIDTH_PX):
        raise LunaError(errors.WRONG_IMAGE_SIZE, f"{BODY_WARP_WIDTH_PX}x{BODY_WARP_HEIGHT_PX}")
    box = np.array([0, 0, BODY_WARP_WIDTH_PX, BODY_WARP_HEIGHT_PX], np.float32)
    (keypoints,) = _keypoints(warp, [box], networks)
    return BodySubject(image=warp, box=box, score=1.0, keypoints=keypoints, warp=warp)


def joined(faces: Sequence[Subject], found: Sequence[BodySubject]) -> list[BodySubject]:
    """Assign faces to bodies and return the bodies.

    A box inside of another body and without a face (a tie, for example) is dropped.
    """
    together = bodies.pairs(
        [(face.box, face.landmarks5) for face in faces], [(body.box, body.keypoints) for body in found]
    )
    for body, face in together.items():
        found[body].face = faces[face]
    return [
        body
        for body in found
        if body.face is not None or not any(bodies.is_inside(body.box, other.box) for other in found)
    ]


def _detected(image: Image, windows: Sequence[Window], networks: Networks, score: float | None) -> list[Found]:
    network = networks.for_task("object_detector")
    outputs = networks.run(network.name, objects.crops(image, windows))
    threshold = network.threshold("person") if score is None else score
    return objects.decode(outputs, windows, image, [PERSON], threshold, network.threshold("nms_iou"))


def _in_box(image: Image, box: Rect, trusted: bool, networks: Networks, score: float | None) -> Found | None:
    """Return the detected person with the highest overlap with a box; without one, the box if it is trusted."""
    corners = corners_of(image, box)
    best = overlapping(corners, _detected(image, [objects.around(corners, BOX_WINDOW_SCALE)], networks, score))
    if best is not None:
        return best
    return Found(corners, 1.0, PERSON, complete=True) if trusted else None


def _keypoints(image: Image, boxes: Sequence[Box], networks: Networks) -> list[Keypoints]:
    if not boxes:
        return []
    matrices = [pose.crop_matrix(box) for box in boxes]
    outputs = networks.run(networks.for_task("body_pose").name, pose.crops(image, boxes, matrices))
    return pose.decode(outputs, matrices)


def _subjects(image: Image, found: Sequence[Found], keypoints: Sequence[Keypoints]) -> list[BodySubject]:
    return [
        BodySubject(
            image=image,
            box=each.box,
            score=each.score,
            keypoints=points,
            warp=bodies.cut_warp(image, bodies.warp_matrix(each.box)),
        )
        for each, points in zip(found, keypoints, strict=True)
    ]
