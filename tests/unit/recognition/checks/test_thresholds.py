"""Thresholds: accepted values, and their JSON."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.recognition.checks.table import CHECKS, ISO_THRESHOLDS, Evidence, own_thresholds
from apps.recognition.checks.thresholds import Between, Flag, OneOf, Value
from apps.recognition.config import FaceQuality
from apps.recognition.estimators.face_color_type import FaceColorType
from apps.recognition.estimators.natural_light import NaturalLight
from apps.recognition.estimators.radial_distortion import RadialDistortion
from apps.recognition.estimators.red_eyes import RedEyes


@pytest.mark.parametrize(("value", "passes"), [(-5, True), (5.0, True), (5.0001, False), (-6, False), (None, False)])
def test_bounds_belong_to_what_passes(value: Value, passes: bool) -> None:
    assert Between(-5, 5).accepts(value) is passes


def test_an_open_side_lets_everything_pass_but_what_is_not_measured() -> None:
    assert Between(90, None).accepts(1e9)
    assert Between(None, 3).accepts(-1e9)
    assert not Between().accepts(None)
    assert not Between().accepts("90")


def test_words_and_flags() -> None:
    words = OneOf(("open",), ("open", "closed"))
    assert (words.accepts("open"), words.accepts("closed"), words.accepts(None)) == (True, False, False)
    assert (Flag(1).accepts(1), Flag(1).accepts(0), Flag(0).accepts(None)) == (True, False, False)
    assert (words.json(), Flag(1).json(), Between(90, None).json()) == (["open"], 1, {"min": 90, "max": None})


@pytest.mark.parametrize(
    ("check", "minimum", "estimator", "weak", "strong", "values"),
    [
        ("natural_light", "natural_light_min", "natural_light", NaturalLight(0.49), NaturalLight(0.5), (0, 1)),
        ("red_eyes", "red_eye_min", "red_eyes", RedEyes(0.29), RedEyes(0.3), (0, 1)),
        ("radial_distortion", "fish_eye_min", "radial_distortion", RadialDistortion(0.09), RadialDistortion(0.1),
         (0, 1)),
        ("face_color_type", "color_type_min", "face_color_type", FaceColorType("grayscale", 2.9),
         FaceColorType("color", 3.0), ("grayscale", "color")),
    ],
)  # fmt: skip
def test_settings_decide_from_which_score_a_property_is_present(
    check: str, minimum: str, estimator: str, weak: object, strong: object, values: tuple[Value, Value],
    configure: Callable[..., None],
) -> None:  # fmt: skip
    def measured() -> tuple[Value, ...]:
        faces: list[Any] = [SimpleNamespace(estimations={estimator: each}) for each in (weak, strong)]
        return tuple(CHECKS[check].measure(Evidence(cast(Any, None), cast(Any, None), face)) for face in faces)

    assert measured() == values
    configure(FaceQuality, **{minimum: 0.4})
    assert measured() == (values[1], values[1])
    configure(FaceQuality, **{minimum: 0.6})
    assert measured() == (values[0], values[0])


def test_own_bounds_take_the_extreme_value_for_the_side_that_is_missing() -> None:
    yaw, distance = CHECKS["head_yaw"].threshold, CHECKS["eye_distance"].threshold
    assert isinstance(yaw, Between)
    assert isinstance(distance, Between)
    assert yaw.with_bounds(-10, None).json() == {"min": -10, "max": 180}
    assert yaw.with_bounds(None, 10).json() == {"min": -180, "max": 10}
    assert yaw.with_bounds(None, None) == yaw
    assert distance.with_bounds(None, 200).json() == {"min": 0, "max": 200}


def test_the_table_has_the_platforms_defaults() -> None:
    published = {
        "head_yaw": {"min": -5, "max": 5},
        "head_pitch": {"min": -5, "max": 5},
        "head_roll": {"min": -8, "max": 8},
        "gaze_yaw": {"min": -5, "max": 5},
        "gaze_pitch": {"min": -5, "max": 5},
        "eye_distance": {"min": 90, "max": None},
        "left_eye": ["open"],
        "right_eye": ["open"],
        "mouth_smiling": {"min": 0, "max": 0.5},
        "mouth_occluded": {"min": 0, "max": 0.5},
        "mouth_open": {"min": 0, "max": 0.5},
        "smile_properties": ["none"],
        "glasses": ["no_glasses", "eyeglasses"],
        "red_eyes": 0,
        "natural_light": 1,
        "radial_distortion": 0,
        "eyebrows_state": ["neutral"],
        "headwear_type": ["none"],
        "face_color_type": ["color"],
        "shoulders_position": ["parallel"],
        "illumination_quality": {"min": 0.3, "max": 1},
        "specularity_quality": {"min": 0.3, "max": 1},
        "blurriness_quality": {"min": 0.61, "max": 1},
        "dark_quality": {"min": 0.5, "max": 1},
        "light_quality": {"min": 0.57, "max": 1},
        "background_lightness": {"min": 0.2, "max": 1},
        "background_uniformity": {"min": 0.5, "max": 1},
        "head_horizontal_center": {"min": 0.45, "max": 0.55},
        "head_vertical_center": {"min": 0.3, "max": 0.5},
        "head_width": {"min": 0.5, "max": 0.75},
        "head_height": {"min": 0.6, "max": 0.9},
        "image_format": ["JPEG", "JPEG2000", "PNG"],
        "image_width": {"min": 180, "max": 1080},
        "image_height": {"min": 180, "max": 1920},
    }
    beside_iso = {
        "illumination_uniformity": {"min": 0.5, "max": 1},
        "dynamic_range": {"min": 0.5, "max": 1},
        "image_size": {"min": 5120, "max": 2097152},
        "indent_upper": {"min": 20, "max": None},
        "indent_lower": {"min": 20, "max": None},
        "indent_left": {"min": 20, "max": None},
        "indent_right": {"min": 20, "max": None},
        "aspect_ratio": {"min": 0.74, "max": 0.8},
        "face_width": {"min": 180, "max": 1920},
        "face_height": {"min": 180, "max": None},
    }
    assert {name: threshold.json() for name, threshold in ISO_THRESHOLDS.items()} == published
    of_settings = {
        "image_width": {"min": 180, "max": 1920},
        "image_height": {"min": 180, "max": 1080},
        "face_width": {"min": 180, "max": None},
    }
    own = {name: threshold.json() for name, threshold in own_thresholds().items()}
    assert own == published | beside_iso | of_settings
