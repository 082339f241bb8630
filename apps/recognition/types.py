"""Types of the recognition engine: images and a plan as input, faces and bodies as output.

This module imports neither Django nor DRF. Other rooms import these types and no deeper module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from apps.common.errors import LunaError
from apps.common.json_types import Example

Image = NDArray[np.uint8]  # [H, W, 3], RGB
Points = NDArray[np.float32]  # [N, 2], x and y in pixels; pixel (0, 0) has its centre at (0, 0)
Keypoints = NDArray[np.float32]  # [17, 3], x and y in pixels and score 0..1, order of COCO; left is the person's left

PointsJson = Annotated[list[list[int]], "Points `[x, y]` in pixels of the picture.", Example([[112, 94], [178, 96]])]
WARP_SIZE_PX = 250
BODY_WARP_WIDTH_PX, BODY_WARP_HEIGHT_PX = 128, 250


class ImageType(IntEnum):
    """Content of a picture: a photograph, a face warp or a body warp."""

    RAW = 0
    FACE_WARP = 1
    BODY_WARP = 2


class MultifacePolicy(IntEnum):
    """Policy for a picture with several faces."""

    NOT_ALLOWED = 0
    ALL = 1
    BEST = 2


class RectJson(TypedDict):
    """Rectangle in pixels of the decoded picture; it can extend beyond the picture."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rect:
    """Rectangle in pixels of the decoded picture after its EXIF orientation; it may extend beyond the picture."""

    x: int
    y: int
    width: int
    height: int

    def json(self) -> RectJson:
        """Return `{x, y, width, height}`."""
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}


@dataclass(frozen=True, slots=True, eq=False)
class ImageInput:
    """One picture of a request.

    `face_boxes`: detection is restricted to these boxes, one face per box. `trusted_boxes`: a box without a detected
    face is kept. `body_boxes`: the same for bodies. `landmarks5`: float32 [5, 2], picture pixels, known for stored
    face samples; detection is then skipped.
    """

    data: bytes
    filename: str = "raw_image"
    image_type: ImageType = ImageType.RAW
    face_boxes: tuple[Rect, ...] = ()
    landmarks5: Points | None = None
    trusted_boxes: bool = False
    body_boxes: tuple[Rect, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Recognition steps for each picture of a request.

    `estimators`: API names ("head_pose", "face_descriptor", ...). An unknown or unavailable one rejects the whole
    request with LunaError ESTIMATOR_NOT_INITIALIZED, an unknown `descriptor_version` with
    UNSUPPORTED_DESCRIPTOR_VERSION. `optional`: estimators that give None if they have no network; one that is switched
    off is still rejected. Estimators of faces run only if faces are detected, those of bodies only if bodies are; those
    of the picture always run. `score_threshold`: lowest score of faces and bodies. `warp`, `body_warp`: whether the
    result contains the warps of faces and of bodies.
    """

    detect_face: bool = True
    detect_body: bool = False
    estimators: frozenset[str] = frozenset()
    multiface: MultifacePolicy = MultifacePolicy.ALL
    use_exif: bool = True
    extract_exif: bool = False
    score_threshold: float | None = None
    descriptor_version: int | None = None
    optional: frozenset[str] = frozenset()
    warp: bool = True
    body_warp: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of a picture.

    `landmarks5`: float32 [5, 2], picture pixels: image-left eye, image-right eye, nose, image-left and image-right
    mouth corner. `warp`: uint8 RGB [250, 250, 3], empty [0, 0, 3] if the plan excludes warps. `warp_landmarks5`: the
    same points in the frame of the warp. `estimations`: frozen dataclass of each estimator by API name, None if the
    estimator cannot determine it for this face.
    """

    rect: Rect
    score: float
    landmarks5: Points
    warp: Image
    warp_landmarks5: Points
    estimations: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One body of a picture.

    `keypoints`: in the frame of the picture; those with a score below .3 are unreliable. `warp`: uint8 RGB
    [250, 128, 3]. `face_index`: index of the face of the same person, None if unknown. `estimations`: as for `Face`.
    """

    rect: Rect
    score: float
    keypoints: Keypoints
    warp: Image
    face_index: int | None = None
    estimations: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """Result of one picture: faces and bodies, or an error. Times are wall-clock milliseconds.

    `estimations`: estimations of the whole picture, by API name.
    """

    filename: str
    width: int = 0
    height: int = 0
    faces: tuple[Face, ...] = ()
    bodies: tuple[Body, ...] = ()
    estimations: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    error: LunaError | None = None
    exif: Mapping[str, object] | None = None
    stage_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
