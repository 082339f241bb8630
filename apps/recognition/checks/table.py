"""Table of the checks: measurement, estimator, and the threshold of the standard, which `/6/iso` uses.

Geometry: the face box is the detection's box. The centre of the head is the midpoint of the eyes. Its width is the
distance between the ears of the mesh. Its height is twice the distance from the midpoint of the eyes to the chin,
because the eyes are half-way between crown and chin. OFIQ's head size is this distance divided by the height of the
picture; its optimum is .45. Sizes are relative to the picture, distances are in pixels, angles in degrees.

A check with `from_source` needs the source picture. A warp gives no value, because its size and position in the picture
are unknown. A flag is 1 if its property is present and 0 if it is absent: red eyes and radial distortion pass at 0,
natural light passes at 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from apps.common.config import config
from apps.common.pictures import open_picture
from apps.recognition.checks.thresholds import Between, Flag, OneOf, Threshold, Value
from apps.recognition.config import FaceQuality
from apps.recognition.engine.decode import FORMATS
from apps.recognition.estimators.background import Background
from apps.recognition.estimators.dynamic_range import DynamicRange
from apps.recognition.estimators.eye_distance import eye_distance
from apps.recognition.estimators.eyebrows import EYEBROW_STATES, Eyebrows
from apps.recognition.estimators.eyes_attributes import EyesAttributes, EyeState
from apps.recognition.estimators.face_color_type import COLOR, FACE_COLOR_TYPES, GRAYSCALE, FaceColorType
from apps.recognition.estimators.gaze import Gaze
from apps.recognition.estimators.glasses import Glasses
from apps.recognition.estimators.head_pose import HeadPose
from apps.recognition.estimators.headwear import Headwear
from apps.recognition.estimators.illumination_uniformity import IlluminationUniformity
from apps.recognition.estimators.landmarks68 import Landmarks68
from apps.recognition.estimators.mouth_attributes import MouthAttributes
from apps.recognition.estimators.natural_light import NaturalLight
from apps.recognition.estimators.quality import Quality
from apps.recognition.estimators.radial_distortion import RadialDistortion
from apps.recognition.estimators.red_eyes import RedEyes
from apps.recognition.estimators.shoulders_position import SHOULDERS, ShouldersPosition
from apps.recognition.networks.labels import GLASSES, HEADWEAR_TYPES
from apps.recognition.types import Face, ImageInput, ImageResult, Points

IMAGE_FORMATS = ("JPEG", "JPEG2000", "PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF", "HEIF", "AVIF")
EYE_STATES = tuple(state.value for state in EyeState)
SMILES = ("none", "smile_lips", "smile_teeth")
CHIN, LEFT_EAR, RIGHT_EAR, EYE_CORNERS = 8, 0, 16, (36, 39, 42, 45)  # indices of the 68 landmarks

SCORE = (0.0, 1.0)
ANGLE = (-180.0, 180.0)
SIZE = (0.0, None)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Input of a check: one face and its picture."""

    image: ImageInput
    result: ImageResult
    face: Face

    def estimation(self, name: str, kind: type[Result]) -> Result | None:
        """Return the result of the estimator, None if it has none or is not available."""
        value = self.face.estimations.get(name)
        return value if isinstance(value, kind) else None


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `needs`: the estimator that `measure` reads. `iso`: whether /6/iso includes the check."""

    name: str
    threshold: Threshold
    measure: Callable[[Evidence], Value]
    needs: str | None = None
    iso: bool = True
    from_source: bool = False


def _of(name: str, kind: type[Result], measure: Callable[[Result], Value]) -> Callable[[Evidence], Value]:
    def value(evidence: Evidence) -> Value:
        estimation = evidence.estimation(name, kind)
        return None if estimation is None else measure(estimation)

    return value


def _smile(mouth: MouthAttributes) -> str:
    scores = dict(zip(SMILES, (1 - mouth.smile, mouth.regular, mouth.with_teeth), strict=True))
    return max(scores, key=lambda kind: scores[kind])


def _head(measure: Callable[[Points, ImageResult], float]) -> Callable[[Evidence], Value]:
    def value(evidence: Evidence) -> Value:
        landmarks = evidence.estimation("landmarks68", Landmarks68)
        return None if landmarks is None else measure(landmarks.points, evidence.result)

    return value


def _head_width(points: Points, result: ImageResult) -> float:
    return float(np.linalg.norm(points[RIGHT_EAR] - points[LEFT_EAR])) / result.width


def _head_height(points: Points, result: ImageResult) -> float:
    eyes = points[list(EYE_CORNERS)].mean(0)
    return 2 * float(np.linalg.norm(points[CHIN] - eyes)) / result.height


def _centre(axis: int) -> Callable[[Points, ImageResult], float]:
    return lambda points, result: float(points[list(EYE_CORNERS), axis].mean()) / (result.width, result.height)[axis]


def _image_format(evidence: Evidence) -> str | None:
    with open_picture(evidence.image.data, FORMATS) as picture:
        return "JPEG" if picture.format == "MPO" else picture.format  # MPO is a JPEG followed by further pictures


def _score(name: str, kind: type[Result], field: str) -> Callable[[Evidence], Value]:
    return _of(name, kind, lambda estimation: getattr(estimation, field))


def _present(
    name: str, kind: type[Result], score: Callable[[Result], float], minimum: str
) -> Callable[[Evidence], Value]:
    """Return a measure that is 1 if the score reaches the setting `minimum`, else 0."""
    return _of(name, kind, lambda estimation: int(score(estimation) >= getattr(config(FaceQuality), minimum)))


def _color_type(face: FaceColorType) -> str:
    return COLOR if face.color_score >= config(FaceQuality).color_type_min else GRAYSCALE


_ALL = (
    Check("head_yaw", Between(-5, 5, ANGLE), _score("head_pose", HeadPose, "yaw"), "head_pose"),
    Check("head_pitch", Between(-5, 5, ANGLE), _score("head_pose", HeadPose, "pitch"), "head_pose"),
    Check("head_roll", Between(-8, 8, ANGLE), _score("head_pose", HeadPose, "roll"), "head_pose"),
    Check("gaze_yaw", Between(-5, 5, ANGLE), _score("gaze", Gaze, "yaw"), "gaze"),
    Check("gaze_pitch", Between(-5, 5, ANGLE), _score("gaze", Gaze, "pitch"), "gaze"),
    Check(
        "eye_distance",
        Between(90, None, SIZE),
        lambda evidence: eye_distance(evidence.face.landmarks5),
        from_source=True,
    ),
    Check(
        "left_eye",
        OneOf(("open",), EYE_STATES),
        _of("eyes_attributes", EyesAttributes, lambda eyes: eyes.left_eye.state.value),
        "eyes_attributes",
    ),
    Check(
        "right_eye",
        OneOf(("open",), EYE_STATES),
        _of("eyes_attributes", EyesAttributes, lambda eyes: eyes.right_eye.state.value),
        "eyes_attributes",
    ),
    Check(
        "mouth_smiling",
        Between(0, 0.5, SCORE),
        _score("mouth_attributes", MouthAttributes, "smile"),
        "mouth_attributes",
    ),
    Check(
        "mouth_occluded",
        Between(0, 0.5, SCORE),
        _score("mouth_attributes", MouthAttributes, "occluded"),
        "mouth_attributes",
    ),
    Check(
        "mouth_open", Between(0, 0.5, SCORE), _score("mouth_attributes", MouthAttributes, "opened"), "mouth_attributes"
    ),
    Check(
        "smile_properties",
        OneOf(("none",), SMILES),
        _of("mouth_attributes", MouthAttributes, _smile),
        "mouth_attributes",
    ),
    Check(
        "glasses", OneOf(("no_glasses", "eyeglasses"), GLASSES), _score("glasses", Glasses, "predominant"), "glasses"
    ),
    Check("red_eyes", Flag(0), _present("red_eyes", RedEyes, lambda eyes: eyes.score, "red_eye_min"), "red_eyes"),
    Check(
        "natural_light",
        Flag(1),
        _present("natural_light", NaturalLight, lambda light: light.score, "natural_light_min"),
        "natural_light",
    ),
    Check(
        "radial_distortion",
        Flag(0),
        _present("radial_distortion", RadialDistortion, lambda lens: lens.score, "fish_eye_min"),
        "radial_distortion",
    ),
    Check("eyebrows_state", OneOf(("neutral",), EYEBROW_STATES), _score("eyebrows", Eyebrows, "state"), "eyebrows"),
    Check("headwear_type", OneOf(("none",), HEADWEAR_TYPES), _score("headwear", Headwear, "predominant"), "headwear"),
    Check(
        "face_color_type",
        OneOf(("color",), FACE_COLOR_TYPES),
        _of("face_color_type", FaceColorType, _color_type),
        "face_color_type",
    ),
    Check(
        "shoulders_position",
        OneOf(("parallel",), SHOULDERS),
        _score("shoulders_position", ShouldersPosition, "state"),
        "shoulders_position",
    ),
    Check("illumination_quality", Between(0.3, 1, SCORE), _score("quality", Quality, "illumination"), "quality"),
    Check("specularity_quality", Between(0.3, 1, SCORE), _score("quality", Quality, "specularity"), "quality"),
    Check("blurriness_quality", Between(0.61, 1, SCORE), _score("quality", Quality, "blurriness"), "quality"),
    Check("dark_quality", Between(0.5, 1, SCORE), _score("quality", Quality, "dark"), "quality"),
    Check("light_quality", Between(0.57, 1, SCORE), _score("quality", Quality, "light"), "quality"),
    Check(
        "background_lightness",
        Between(0.2, 1, SCORE),
        _score("background", Background, "lightness"),
        "background",
        from_source=True,
    ),
    Check(
        "background_uniformity",
        Between(0.5, 1, SCORE),
        _score("background", Background, "uniformity"),
        "background",
        from_source=True,
    ),
    Check("head_horizontal_center", Between(0.45, 0.55, SCORE), _head(_centre(0)), "landmarks68", from_source=True),
    Check("head_vertical_center", Between(0.3, 0.5, SCORE), _head(_centre(1)), "landmarks68", from_source=True),
    Check("head_width", Between(0.5, 0.75, SIZE), _head(_head_width), "landmarks68", from_source=True),
    Check("head_height", Between(0.6, 0.9, SIZE), _head(_head_height), "landmarks68", from_source=True),
    Check("image_format", OneOf(("JPEG", "JPEG2000", "PNG"), IMAGE_FORMATS), _image_format),
    Check("image_width", Between(180, 1080, SIZE), lambda evidence: evidence.result.width),
    Check("image_height", Between(180, 1920, SIZE), lambda evidence: evidence.result.height),
    Check(
        "illumination_uniformity",
        Between(0.5, 1, SCORE),
        _score("illumination_uniformity", IlluminationUniformity, "score"),
        "illumination_uniformity",
        iso=False,
        from_source=True,
    ),
    Check(
        "dynamic_range",
        Between(0.5, 1, SCORE),
        _score("dynamic_range", DynamicRange, "score"),
        "dynamic_range",
        iso=False,
        from_source=True,
    ),
    Check("image_size", Between(5120, 2097152, SIZE), lambda evidence: len(evidence.image.data), iso=False),
    Check("indent_upper", Between(20, None, SIZE), lambda evidence: evidence.face.rect.y, iso=False, from_source=True),
    Check(
        "indent_lower",
        Between(20, None, SIZE),
        lambda evidence: evidence.result.height - evidence.face.rect.y - evidence.face.rect.height,
        iso=False,
        from_source=True,
    ),
    Check("indent_left", Between(20, None, SIZE), lambda evidence: evidence.face.rect.x, iso=False, from_source=True),
    Check(
        "indent_right",
        Between(20, None, SIZE),
        lambda evidence: evidence.result.width - evidence.face.rect.x - evidence.face.rect.width,
        iso=False,
        from_source=True,
    ),
    Check(
        "aspect_ratio",
        Between(0.74, 0.8, SIZE),
        lambda evidence: evidence.result.width / evidence.result.height,
        iso=False,
    ),
    Check(
        "face_width", Between(180, 1920, SIZE), lambda evidence: evidence.face.rect.width, iso=False, from_source=True
    ),
    Check(
        "face_height", Between(180, None, SIZE), lambda evidence: evidence.face.rect.height, iso=False, from_source=True
    ),
)

CHECKS: Mapping[str, Check] = MappingProxyType({check.name: check for check in _ALL})
ISO_THRESHOLDS: Mapping[str, Threshold] = MappingProxyType({each.name: each.threshold for each in _ALL if each.iso})
# Names of settings in FACE_QUALITY_SETTINGS that differ from the name of the check.
SETTING_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "illumination_quality": "illumination",
        "specularity_quality": "specularity",
        "blurriness_quality": "blurriness",
        "dark_quality": "dark",
        "light_quality": "light",
        "left_eye": "eyes",
        "right_eye": "eyes",
        "eyebrows_state": "eyebrows",
        "shoulders_position": "shoulders",
        "smile_properties": "smile",
        "headwear_type": "headwear",
        "radial_distortion": "fish_eye",
        "red_eyes": "red_eye",
        "face_color_type": "color_type",
    }
)


def own_thresholds() -> Mapping[str, Threshold]:
    """Return the thresholds of this installation by check; a request can override them."""
    return _thresholds(config(FaceQuality))


@lru_cache(maxsize=2)
def _thresholds(settings: FaceQuality) -> Mapping[str, Threshold]:
    values = {name: getattr(settings, SETTING_NAMES.get(name, name)) for name in CHECKS}
    return MappingProxyType({name: _with_value(CHECKS[name].threshold, value) for name, value in values.items()})


def _with_value(threshold: Threshold, value: Any) -> Threshold:
    if isinstance(threshold, Between):
        return replace(threshold, low=value.min, high=value.max)
    return replace(threshold, accepted=value) if isinstance(threshold, OneOf) else Flag(value)
