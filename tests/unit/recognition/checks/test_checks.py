"""Every check on a picture that passes it and on one that does not."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from types import MappingProxyType

import cv2
import pytest

from apps.recognition.checks.evaluate import CheckReport, check_face, check_faces, estimators_for
from apps.recognition.checks.table import CHECKS, DEFAULT_THRESHOLDS, Evidence
from apps.recognition.checks.thresholds import Between, OneOf
from apps.recognition.engine.core import Engine
from apps.recognition.estimators.glasses import Glasses
from apps.recognition.estimators.headwear import Headwear
from apps.recognition.estimators.mouth_attributes import MouthAttributes
from apps.recognition.estimators.registry import available
from apps.recognition.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageResult, ImageType, MultifacePolicy, Plan
from tests.unit.recognition.checks import pictures
from tests.unit.recognition.checks.pictures import Pixels, portrait, recoloured
from tests.unit.recognition.pictures import astronaut, encoded

Judge = Callable[[str], CheckReport]


def framed() -> Pixels:
    """A frontal face as in a passport: 416 pixels of the fifth sample."""
    return portrait(5, 255, 858, 416)


PICTURES: Mapping[str, Callable[[], bytes]] = {
    "astronaut": lambda: encoded(astronaut()),
    "astronaut.gif": lambda: encoded(astronaut(), "GIF"),
    "tiny file": lambda: encoded(cv2.resize(astronaut(), (130, 130), interpolation=cv2.INTER_AREA), "JPEG", quality=60),
    "large": lambda: encoded(pictures.scaled(3.8), "JPEG"),
    "framed": lambda: encoded(framed()),
    "3:4": lambda: encoded(framed()[:, 84:636]),
    "cut close": lambda: encoded(astronaut()[70:190, 168:280]),
    "laughing": lambda: encoded(portrait(1, 1432, 218, 272)),
    "pouting": lambda: encoded(portrait(6, 1061, 282, 406)),
    "looking down": lambda: encoded(portrait(2, 1387, 143, 343)),
    "lids lowered": lambda: encoded(portrait(1, 784, 415, 314)),
    "wide open mouth": lambda: encoded(pictures.mouth_opened()),
    "turned away": lambda: encoded(portrait(1, 341, 347, 345)),
    "tilted": lambda: encoded(pictures.turned(15)),
    "group": lambda: encoded(pictures.photograph(5)),
    "fisheye": lambda: encoded(pictures.bent(pictures.photograph(5), 0.2)),
    "grey": lambda: encoded(pictures.grey()),
    "blue light": lambda: encoded(recoloured(lambda values: values * [0.4, 0.6, 1.4])),
    "dark": lambda: encoded(recoloured(lambda values: values * 0.15)),
    "overexposed": lambda: encoded(recoloured(lambda values: 200 + values * 0.4)),
    "blurred": lambda: encoded(cv2.GaussianBlur(astronaut(), (0, 0), 3)),
    "lit from one side": lambda: encoded(pictures.one_side_dark()),
    "red eyes": lambda: encoded(pictures.red_eyed()),
    "lowered brows": lambda: encoded(pictures.brows_moved(-12)),
    "white wall": lambda: encoded(pictures.before_a_wall(astronaut(), (220, 220, 220))),
    "black wall": lambda: encoded(pictures.before_a_wall(astronaut(), (5, 5, 5))),
    "noise behind": lambda: encoded(pictures.before_noise()),
}

PASSES_AND_FAILS = [
    ("head_yaw", "astronaut", "turned away"),
    ("head_pitch", "framed", "looking down"),
    ("head_roll", "astronaut", "tilted"),
    ("gaze_yaw", "astronaut", "turned away"),
    ("gaze_pitch", "astronaut", "lids lowered"),
    ("eye_distance", "framed", "astronaut"),
    ("left_eye", "framed", "looking down"),
    ("right_eye", "framed", "looking down"),
    ("mouth_smiling", "framed", "laughing"),
    ("mouth_open", "framed", "wide open mouth"),
    ("smile_properties", "framed", "laughing"),
    ("red_eyes", "astronaut", "red eyes"),
    ("natural_light", "astronaut", "blue light"),
    ("radial_distortion", "group", "fisheye"),
    ("eyebrows_state", "astronaut", "lowered brows"),
    ("face_color_type", "astronaut", "grey"),
    ("shoulders_position", "white wall", "turned away"),
    ("illumination_quality", "astronaut", "lit from one side"),
    ("specularity_quality", "astronaut", "overexposed"),
    ("blurriness_quality", "astronaut", "blurred"),
    ("dark_quality", "astronaut", "dark"),
    ("light_quality", "astronaut", "overexposed"),
    ("background_lightness", "white wall", "black wall"),
    ("background_uniformity", "white wall", "noise behind"),
    ("head_horizontal_center", "framed", "astronaut"),
    ("head_vertical_center", "framed", "astronaut"),
    ("head_width", "framed", "astronaut"),
    ("head_height", "framed", "astronaut"),
    ("image_format", "astronaut", "astronaut.gif"),
    ("image_width", "astronaut", "large"),
    ("image_height", "astronaut", "large"),
    ("illumination_uniformity", "astronaut", "lit from one side"),
    ("dynamic_range", "astronaut", "overexposed"),
    ("image_size", "astronaut", "tiny file"),
    ("indent_upper", "astronaut", "cut close"),
    ("indent_lower", "astronaut", "cut close"),
    ("indent_left", "astronaut", "cut close"),
    ("indent_right", "astronaut", "cut close"),
    ("aspect_ratio", "3:4", "astronaut"),
    ("face_width", "framed", "astronaut"),
    ("face_height", "framed", "astronaut"),
]
BY_NETWORK = {"mouth_occluded", "glasses", "headwear_type"}


@pytest.fixture(scope="module")
def pipeline(engine: Engine) -> Pipeline:
    names = estimators_for(CHECKS, available(engine.tasks))
    return Pipeline(engine, Plan(estimators=names, multiface=MultifacePolicy.BEST))


@pytest.fixture(scope="module")
def judge(pipeline: Pipeline) -> Judge:
    return cache(partial(_report, pipeline))


def _report(pipeline: Pipeline, picture: str) -> CheckReport:
    image = ImageInput(PICTURES[picture]())
    (face,) = check_faces(image, pipeline.process(image), DEFAULT_THRESHOLDS).faces
    report = face.estimations["face_quality"]
    assert isinstance(report, CheckReport)
    return report


def test_every_check_has_a_case() -> None:
    assert {name for name, _, _ in PASSES_AND_FAILS} | BY_NETWORK == set(CHECKS)


@pytest.mark.parametrize(("name", "passing", "failing"), PASSES_AND_FAILS)
def test_check(judge: Judge, name: str, passing: str, failing: str) -> None:
    good, bad = ({check.name: check for check in judge(picture).checks}[name] for picture in (passing, failing))
    assert good.passed, good
    assert bad.value is not None
    assert not bad.passed, bad


@pytest.fixture(scope="module")
def evidence(pipeline: Pipeline) -> Evidence:
    image = ImageInput(PICTURES["framed"]())
    result = pipeline.process(image)
    return Evidence(image, result, result.faces[0])


@pytest.mark.parametrize(
    ("name", "estimator", "good", "bad"),
    [
        (
            "glasses",
            "glasses",
            Glasses({"no_glasses": 0.2, "eyeglasses": 0.7, "sunglasses": 0.1}),
            Glasses({"no_glasses": 0.1, "eyeglasses": 0.1, "sunglasses": 0.8}),
        ),
        ("headwear_type", "headwear", Headwear({"none": 0.9, "hat": 0.1}), Headwear({"none": 0.2, "hat": 0.8})),
        (
            "mouth_occluded",
            "mouth_attributes",
            MouthAttributes(opened=0, smile=0, regular=0, with_teeth=0, occluded=0.1),
            MouthAttributes(opened=0, smile=0, regular=0, with_teeth=0, occluded=0.9),
        ),
    ],
)
def test_checks_that_wait_for_a_network(
    evidence: Evidence, name: str, estimator: str, good: object, bad: object
) -> None:
    threshold = {name: CHECKS[name].threshold}
    verdicts = []
    for estimation in (good, bad):
        estimations = MappingProxyType({**evidence.face.estimations, estimator: estimation})
        face = replace(evidence.face, estimations=estimations)
        verdicts.append(check_face(replace(evidence, face=face), threshold).passed)
    assert verdicts == [True, False]
    (unmeasured,) = check_face(evidence, threshold).checks
    assert (unmeasured.value, unmeasured.passed) == (None, False)


def test_a_warp_has_no_place_in_a_picture(pipeline: Pipeline) -> None:
    source = ImageInput(PICTURES["framed"]())
    warp = ImageInput(encoded(pipeline.process(source).faces[0].warp), image_type=ImageType.FACE_WARP)
    result = check_faces(warp, pipeline.process(warp), DEFAULT_THRESHOLDS)
    report = result.faces[0].estimations["face_quality"]
    assert isinstance(report, CheckReport)
    for check in report.checks:
        if CHECKS[check.name].from_source:
            assert (check.value, check.passed) == (None, False), check
    measured = {check.name for check in report.checks if check.value is not None}
    assert {"head_yaw", "left_eye", "natural_light", "eyebrows_state", "blurriness_quality"} <= measured


def test_own_thresholds_and_a_choice_of_checks(evidence: Evidence) -> None:
    report = check_face(evidence, {"eye_distance": Between(1000, None), "left_eye": OneOf(("closed",), ("closed",))})
    assert [check.name for check in report.checks] == ["eye_distance", "left_eye"]
    assert not report.passed
    assert check_face(evidence, {"eye_distance": Between(10, None)}).passed


def test_checks_ask_for_their_estimators_only() -> None:
    everything = frozenset({"head_pose", "gaze", "quality"})
    assert estimators_for(["head_yaw", "head_roll", "eye_distance"], everything) == {"head_pose"}
    assert estimators_for(["glasses"], everything) == set()


def test_a_jpeg_with_more_pictures_behind_it_is_a_jpeg(evidence: Evidence) -> None:
    file = encoded(framed(), "MPO", save_all=True, append_images=[])
    result = ImageResult("", width=1, height=1, faces=(evidence.face,))
    (check,) = check_face(
        Evidence(ImageInput(file), result, evidence.face), {"image_format": CHECKS["image_format"].threshold}
    ).checks
    assert (check.value, check.passed) == ("JPEG", True)
