"""Detection of the faces of one picture: boxes, orientation and meshes.

1. The detector runs on the whole picture. Its keypoints call nearly every face upright: all of 15 upside-down faces,
   with scores up to .90. The same faces upright score .91 and more.
2. Each face with a lower score is detected again in eight rotations of its own window. In the right rotation the score
   is .89 and more (17 people, 13 angles). This also finds tilted faces, which score .3 to .6 in the whole picture.
3. If no face is upright and automatic rotation is on, the detector runs on the other three rotations of the picture.
4. If the picture was downscaled and shows small faces or none, the detector runs on tiles of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine import mesh
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.detection import (
    Detection,
    Window,
    corners_of,
    is_cut,
    overlapping,
    roll_of,
    suppressed,
    turned,
)
from apps.recognition.engine.geometry import inverse, resample
from apps.recognition.engine.heads.base import Head
from apps.recognition.engine.mesh import Mesh
from apps.recognition.estimators.base import Networks
from apps.recognition.estimators.mesh import run_mesh
from apps.recognition.run.orientation import upright
from apps.recognition.types import Image, Points, Rect

SMALL_FACE_PX = 40  # pixels of the detector's input; next to a smaller face the detector may miss faces
TURNED_AT_MOST = 64  # faces of one detection that are tried in rotated windows
BETTER_BY = 0.02  # minimum gain of score for a rotated window over the picture
STRAIGHT_DEGREES, SIDEWAYS_DEGREES = 8.0, 60.0
MESH_ROUNDS = 3
PIXELS_AT_ONCE = 4 * 640 * 640  # of the detector's input in one call


@dataclass(frozen=True, slots=True)
class FaceFinder:
    """Face detector and mesh for one picture."""

    head: Head
    networks: Networks
    config: EngineConfig

    def find(self, image: Image, *, rotate: bool) -> tuple[Image, list[Detection]]:
        """Return the picture and its faces, best first.

        With `rotate` the picture is rotated by a multiple of 90° if that makes its faces upright.
        """
        if rotate:
            # A network of fixed size runs on tiles and on four rotations of each face: 40 runs for an unsure portrait.
            glance = self._glance if self.head.spec.width else None
            image, found = upright(image, self._first_detection, self.head.certain_score, self.head.nms_iou, glance)
        else:
            found = self._first_detection(image)
        return image, suppressed(self._second_detection(image, found), self.head.nms_iou, found)

    def in_box(self, image: Image, box: Rect, *, trusted: bool) -> Detection | None:
        """Return the detected face with the highest overlap with a box; without one, the box itself if it is trusted.

        Raises LunaError INVALID_RECTANGLE for a box outside of the picture.
        """
        corners = corners_of(image, box)
        crops, places = self.head.window_around(image, corners)
        best = overlapping(corners, self._detected(crops, places, self.head.score_threshold)[0])
        if best is not None:
            return self._straight(image, [best])[0]
        return Detection.upright(corners) if trusted else None

    def meshes(self, image: Image, detections: Sequence[Detection]) -> list[Mesh]:
        """Return the mesh of each face. The crop is rotated, up to `MESH_ROUNDS` times, until the face is straight."""
        found: dict[int, Mesh] = {}
        rolls = {index: roll_of(each.keypoints) for index, each in enumerate(detections)}
        for _ in range(MESH_ROUNDS):
            matrices = [mesh.crop_matrix(detections[i].box, roll, self.head.mesh_scale) for i, roll in rolls.items()]
            if not matrices:
                break
            crops = np.stack([resample(image, matrix, mesh.SIZE_PX) for matrix in matrices])
            found |= zip(rolls, run_mesh(self.networks, crops, matrices), strict=True)
            left = {index: mesh.residual_roll(found[index]) for index in rolls}
            rolls = {
                index: rolls[index] + angle
                for index, angle in left.items()
                if STRAIGHT_DEGREES < abs(np.degrees(angle)) < SIDEWAYS_DEGREES
            }
        return [found[index] for index in range(len(detections))]

    def is_face(self, detection: Detection, face: Mesh) -> bool:
        """Return whether the mesh confirms the face, or a high score does; masks hide half of the mesh's features."""
        return face.flag >= mesh.FLAG_THRESHOLD or detection.score >= self.head.sure_score

    def landmarks5(self, detection: Detection, face: Mesh) -> Points:
        """Return five landmarks of the mesh, or of the detector if the mesh finds no face or a sideways one."""
        fits = face.flag >= mesh.FLAG_THRESHOLD and abs(np.degrees(mesh.residual_roll(face))) < SIDEWAYS_DEGREES
        if fits or not self.head.five_points or len(detection.keypoints) != len(mesh.FIVE_POINTS):
            return mesh.five_points(face.points)
        return np.asarray(detection.keypoints, np.float32)

    def _first_detection(self, image: Image) -> list[Detection]:
        """Detect faces in the whole picture and correct their orientation."""
        detections = chain.from_iterable(self._detected(*self.head.windows(image), self.head.candidate_score))
        return self._straight(image, suppressed(self._large_enough(detections), self.head.nms_iou))

    def _glance(self, image: Image) -> list[Detection]:
        """Detect faces in the whole picture, without tiles and without correction of their orientation."""
        crops, places = self.head.windows(image)
        (found,) = self._detected(crops[:1], places[:1], self.head.score_threshold)
        return self._large_enough(found)

    def _second_detection(self, image: Image, found: Sequence[Detection]) -> list[Detection]:
        """Detect further faces in tiles of a large picture that shows small faces or none."""
        if found and min(map(_side, found)) * self.head.scale(image) >= SMALL_FACE_PX:
            return []
        crops, places = self.head.tiles(image, self.config.face_tiles)
        if not places:
            return []
        detections = self._detected(crops, places, self.head.score_threshold)
        side = crops.shape[1]
        whole = [
            each
            for place, of_tile in zip(places, detections, strict=True)
            for each in of_tile
            if not is_cut(each.box, place, side, image)
        ]
        fresh = suppressed(self._large_enough(whole), self.head.nms_iou, found)[len(found) :]
        return self._straight(image, fresh)

    def _straight(self, image: Image, found: Sequence[Detection]) -> list[Detection]:
        """Return each face in the rotation with its highest score; drop candidates that no rotation confirms."""
        unsure = [each for each in found if each.score < self.head.certain_score][:TURNED_AT_MOST]
        best = dict(zip(map(id, unsure), self._best_turns(image, unsure), strict=True))
        kept = [best.get(id(each), each) for each in found]
        return suppressed(
            (each for each in kept if each is not None and each.score >= self.head.score_threshold), self.head.nms_iou
        )

    def _best_turns(self, image: Image, found: Sequence[Detection]) -> list[Detection | None]:
        if not found:
            return []
        shown = [self.head.turned_windows(image, each.box) for each in found]
        crops = np.concatenate([crops for crops, _ in shown])
        detections = self._detected(crops, [Window(0, 0, 1)] * len(crops), self.head.candidate_score)
        turns = len(crops) // len(found)
        return [
            self._best_turn(each, detections[index * turns : (index + 1) * turns], shown[index][1])
            for index, each in enumerate(found)
        ]

    def _best_turn(
        self, detection: Detection, detections: Sequence[Sequence[Detection]], matrices: Sequence[NDArray[np.float64]]
    ) -> Detection | None:
        central = [overlapping(self.head.central_box, each) for each in detections]
        scores = [0.0 if each is None else each.score for each in central]
        turn = int(np.argmax(scores))
        best = central[turn]
        is_candidate = detection.score < self.head.score_threshold
        if best is None or (is_candidate and best.score < self.head.turned_score):
            return None if is_candidate else detection
        if not is_candidate and (turn == 0 or best.score < max(detection.score, scores[0]) + BETTER_BY):
            return detection
        return turned(best, inverse(matrices[turn]))

    def _detected(self, crops: NDArray[np.uint8], places: Sequence[Window], threshold: float) -> list[list[Detection]]:
        """Detect faces in each window, in batches that bound memory and the use of the engine's queue."""
        detector, (height, width) = self.networks.for_task("face_detector").name, crops.shape[1:3]
        at_once = max(1, PIXELS_AT_ONCE // (height * width))
        found: list[list[Detection]] = []
        for start in range(0, len(crops), at_once):
            part = slice(start, start + at_once)
            outputs = self.networks.run(detector, crops[part])
            found += self.head.decode(outputs, places[part], (height, width), threshold)
        return found

    def _large_enough(self, found: Iterable[Detection]) -> list[Detection]:
        return [each for each in found if _side(each) >= self.config.min_face_px]


def _side(detection: Detection) -> float:
    return float((detection.box[2:] - detection.box[:2]).min())
