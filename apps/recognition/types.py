"""What goes into the recognition engine and what comes out of it: images and a plan in, faces out.

No Django, no DRF and no request here; every other room imports these types and nothing deeper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from apps.common.errors import LunaError

Image = NDArray[np.uint8]  # [H, W, 3], RGB
Points = NDArray[np.float32]  # [N, 2], x and y in pixels; pixel (0, 0) has its centre at (0, 0)
Keypoints = NDArray[np.float32]  # [17, 3], x and y in pixels and score 0..1, COCO's order; left is the person's

WARP_SIZE_PX = 250
BODY_WARP_WIDTH_PX, BODY_WARP_HEIGHT_PX = 128, 250


class ImageType(IntEnum):
    """What a picture shows: anything, or one normalised face or body cut out earlier."""

    RAW = 0
    FACE_WARP = 1
    BODY_WARP = 2


class MultifacePolicy(IntEnum):
    """What to do with a picture that shows several faces."""

    NOT_ALLOWED = 0
    ALL = 1
    BEST = 2


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels of the decoded, oriented picture; it may reach outside of it."""

    x: int
    y: int
    width: int
    height: int

    def json(self) -> dict[str, int]:
        """`{x, y, width, height}`."""
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}


@dataclass(frozen=True, slots=True, eq=False)
class ImageInput:
    """One picture of a request.

    `face_boxes` replaces detection: faces are looked for inside these boxes, one face a box. With `trusted_boxes` a box
    is kept even where no face is found again. `body_boxes` does the same for bodies. `landmarks5` (float32 [5, 2],
    picture pixels) is known for our own stored warps; the face is then taken as found.
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
    """What to do with each picture of a request.

    `estimators` holds API names ("head_pose", "face_descriptor", ...). An unknown or unavailable one is LunaError
    ESTIMATOR_NOT_INITIALIZED for the whole request, an unknown `descriptor_version` UNSUPPORTED_DESCRIPTOR_VERSION.
    One of `optional` that has no network is None for every face, body or picture instead; an estimator that is switched
    off is refused all the same.
    Those of faces and of bodies are left out where none are detected; those of the picture are always made.
    `score_threshold` holds for faces and bodies. `warp` and `body_warp`: does the caller want the warps of faces and
    of bodies?
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
    mouth corner. `warp`: uint8 RGB [250, 250, 3] (empty [0, 0, 3] where the plan wants none); `warp_landmarks5`: the
    same points in the warp. `estimations`: API name to the frozen dataclass of that estimator; None where it applies
    to this face but cannot be said.
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

    `keypoints` lie in the picture; those with a score below .3 are guessed. `warp`: uint8 RGB [250, 128, 3].
    `face_index`: which of the picture's faces is the same person's. `estimations` as for `Face`.
    """

    rect: Rect
    score: float
    keypoints: Keypoints
    warp: Image
    face_index: int | None = None
    estimations: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """What was found in one picture, or the error that stopped it. Times are milliseconds of wall clock.

    `estimations`: those of the picture as a whole, by API name.
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
