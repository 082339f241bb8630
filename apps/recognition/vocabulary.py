"""Vocabulary of estimations: one row for each, with all of its names.

The estimator's own module defines the computation, the JSON, the mean and the columns of an estimation. This module
imports neither Django nor an estimator, because the settings read the switches from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Kind(Enum):
    """Subject of an estimation."""

    FACE = "face"
    BODY = "body"
    PICTURE = "picture"


class Place(Enum):
    """Place of an estimation in responses: in `attributes` of a detection, next to `attributes`, or elsewhere."""

    ATTRIBUTES = "attributes"
    DETECTION = "detection"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """Row of one estimation.

    `name`: name of the estimator and in the API. `switch`: the platform's name of its switch at start. `sdk`: flag of
    /6/sdk. `policy`: flag of detect_policy, for bodies of its `body_attributes`. `detector`: flag that only /6/detector
    has. `member`: name in responses, if it differs. `columns`: columns of the event, which are terms of filters.
    """

    name: str
    kind: Kind = Kind.FACE
    switch: str | None = None
    sdk: str | None = None
    policy: str | None = None
    detector: str | None = None
    place: Place = Place.ATTRIBUTES
    member: str = ""
    columns: tuple[str, ...] = ()

    @property
    def statistic(self) -> str:
        """Name in the monthly statistics."""
        return self.sdk or f"estimate_{self.name}"

    def __post_init__(self) -> None:
        if not self.member:
            object.__setattr__(self, "member", self.name)


_ROWS = (
    Estimation(name="landmarks5", switch="face-landmarks5-estimator", place=Place.ELSEWHERE, sdk="estimate_landmarks5"),
    Estimation(
        name="landmarks68", switch="face-landmarks68-estimator", place=Place.DETECTION,
        sdk="estimate_landmarks68", policy="detect_landmarks68",
    ),
    Estimation(
        name="head_pose", switch="head-pose-estimator",
        sdk="estimate_head_pose", policy="estimate_head_pose",
    ),
    Estimation(
        name="emotions", switch="emotions-estimator", columns=("emotion",),
        sdk="estimate_emotions", policy="estimate_emotions",
    ),
    Estimation(
        name="mask", switch="mask-estimator", columns=("mask",),
        sdk="estimate_mask", policy="estimate_mask",
    ),
    Estimation(
        name="quality", switch="quality-estimator", place=Place.DETECTION,
        sdk="estimate_quality", policy="estimate_quality",
    ),
    Estimation(
        name="gaze", switch="gaze-estimator",
        sdk="estimate_gaze", policy="estimate_gaze",
    ),
    Estimation(
        name="eyes_attributes", switch="eyes-estimator",
        sdk="estimate_eyes_attributes", policy="estimate_eyes_attributes",
    ),
    Estimation(
        name="mouth_attributes", switch="mouth-attributes-estimator",
        sdk="estimate_mouth_attributes", policy="estimate_mouth_attributes",
    ),
    Estimation(
        name="glasses", switch="glasses-estimator",
        sdk="estimate_glasses", policy="estimate_glasses",
    ),
    Estimation(
        name="eye_distance", switch="eye-distance-estimator",
        sdk="estimate_eye_distance", policy="estimate_eye_distance",
    ),
    # detect_policy has an object with thresholds for each of the next three rows.
    Estimation(
        name="liveness", switch="liveness-estimator", columns=("liveness",),
        sdk="estimate_liveness", detector="estimate_liveness",
    ),
    Estimation(name="deepfake", switch="deepfake-estimator", columns=("deepfake",), sdk="estimate_deepfake"),
    Estimation(name="face_quality", place=Place.DETECTION, detector="estimate_face_quality"),
    Estimation(name="face_occlusion", switch="face-occlusion-estimator", sdk="estimate_face_occlusion"),
    # extract_policy requests basic attributes and descriptors.
    Estimation(
        name="basic_attributes", switch="basic-attributes-estimator", columns=("age", "gender", "ethnic_group"),
        sdk="estimate_basic_attributes",
    ),
    Estimation(
        name="face_descriptor", switch="face-descriptor-estimator", member="descriptor",
        sdk="estimate_face_descriptor",
    ),
    Estimation(
        name="body_descriptor", kind=Kind.BODY, switch="body-descriptor-estimator", member="descriptor",
        sdk="estimate_body_descriptor",
    ),
    Estimation(
        name="body_basic_attributes", kind=Kind.BODY, switch="body-attributes-estimator", member="basic_attributes",
        sdk="estimate_body_basic_attributes", policy="estimate_basic_attributes",
        columns=("apparent_age", "apparent_gender"),
    ),
    Estimation(
        name="upper_body", kind=Kind.BODY, switch="body-attributes-estimator",
        sdk="estimate_upper_body", policy="estimate_upper_body",
        columns=("headwear_state", "headwear_apparent_color", "sleeve_length", "upper_clothing_colors"),
    ),
    Estimation(
        name="lower_body", kind=Kind.BODY, switch="body-attributes-estimator",
        sdk="estimate_lower_body", policy="estimate_lower_body",
        columns=("lower_garment_type", "lower_garment_colors", "shoes_apparent_color"),
    ),
    Estimation(
        name="accessories", kind=Kind.BODY, switch="body-attributes-estimator", columns=("backpack_state",),
        sdk="estimate_accessories", policy="estimate_accessories",
    ),
    Estimation(
        name="people_count", kind=Kind.PICTURE, switch="people-count-estimator", place=Place.ELSEWHERE,
        sdk="estimate_people_count",
    ),
    # No network of this platform estimates it: its flag is rejected like one of an estimator without a network.
    Estimation(
        name="image_modification", kind=Kind.PICTURE, place=Place.ELSEWHERE, sdk="estimate_image_modification"
    ),
    # Used by image checks only.
    Estimation(name="radial_distortion", switch="fisheye-estimator", place=Place.ELSEWHERE),
    Estimation(name="background", switch="face-detection-background-estimator", place=Place.ELSEWHERE),
    Estimation(name="face_color_type", switch="image-color-type-estimator", place=Place.ELSEWHERE),
    Estimation(name="natural_light", switch="face-natural-light-estimator", place=Place.ELSEWHERE),
    Estimation(name="eyebrows", switch="eyebrow-expression-estimator", place=Place.ELSEWHERE),
    Estimation(name="red_eyes", switch="red-eyes-estimator", place=Place.ELSEWHERE),
    Estimation(name="headwear", switch="headwear-estimator", place=Place.ELSEWHERE),
    Estimation(name="dynamic_range", switch="dynamic-range-estimator", place=Place.ELSEWHERE),
    Estimation(name="illumination_uniformity", switch="illumination-uniformity-estimator", place=Place.ELSEWHERE),
    Estimation(name="shoulders_position", switch="shoulders-position-estimator", place=Place.ELSEWHERE),
)  # fmt: skip

ESTIMATIONS: Mapping[str, Estimation] = MappingProxyType({row.name: row for row in _ROWS})


def policy_flags(kind: Kind) -> dict[str, str]:
    """Return the names of estimations by flag of detect_policy, or by flag of its `body_attributes`."""
    return {row.policy: row.name for row in _ROWS if row.policy is not None and row.kind is kind}


def detector_flags() -> dict[str, str]:
    """Return the names of estimations by flag of /6/detector."""
    return policy_flags(Kind.FACE) | {row.detector: row.name for row in _ROWS if row.detector is not None}


def sdk_flags() -> dict[str, Estimation]:
    """Return the rows of estimations by flag of /6/sdk."""
    return {row.sdk: row for row in _ROWS if row.sdk is not None}
