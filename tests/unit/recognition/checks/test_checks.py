"""How checks are made: of pictures and of warps, with own thresholds, without a network."""

import pytest

from apps.recognition.checks.evaluate import CheckReport, check_face, check_faces, estimators_for
from apps.recognition.checks.table import CHECKS, Evidence, own_thresholds
from apps.recognition.checks.thresholds import Between, OneOf
from apps.recognition.engine.core import Engine
from apps.recognition.estimators.registry import available
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageResult, ImageType, MultifacePolicy, Plan
from tests.unit.recognition.checks import pictures
from tests.unit.recognition.pictures import encoded


@pytest.fixture(scope="module")
def pipeline(engine: Engine) -> Pipeline:
    names = estimators_for(CHECKS, available(engine.tasks))
    return Pipeline(engine, Plan(estimators=names, multiface=MultifacePolicy.BEST))


@pytest.fixture(scope="module")
def evidence(pipeline: Pipeline) -> Evidence:
    image = ImageInput(encoded(pictures.framed()))
    result = pipeline.process(image)
    return Evidence(image, result, result.faces[0])


@pytest.mark.parametrize("name", ["glasses", "headwear_type", "mouth_occluded"])
def test_checks_that_wait_for_a_network(evidence: Evidence, name: str) -> None:
    (unmeasured,) = check_face(evidence, {name: CHECKS[name].threshold}).checks
    assert (unmeasured.value, unmeasured.passed) == (None, False)


def test_a_warp_has_no_place_in_a_picture(pipeline: Pipeline) -> None:
    source = ImageInput(encoded(pictures.framed()))
    warp = ImageInput(encoded(pipeline.process(source).faces[0].warp), image_type=ImageType.FACE_WARP)
    result = check_faces(warp, pipeline.process(warp), own_thresholds())
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
    file = encoded(pictures.framed(), "MPO", save_all=True, append_images=[])
    result = ImageResult("", width=1, height=1, faces=(evidence.face,))
    (check,) = check_face(
        Evidence(ImageInput(file), result, evidence.face), {"image_format": CHECKS["image_format"].threshold}
    ).checks
    assert (check.value, check.passed) == ("JPEG", True)
