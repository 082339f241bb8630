"""Each estimator on real faces, and on pictures that were changed in the one way that it must see."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from apps.recognition.engine.core import Engine
from apps.recognition.estimators.measures import luminance, sharpness
from apps.recognition.estimators.quality import uniformity
from apps.recognition.estimators.registry import available
from apps.recognition.estimators.suitability import detector_crops, suitability
from apps.recognition.run.networks import EngineNetworks
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.shapes import estimation_block, face_detection_block
from apps.recognition.types import Face, Image, ImageInput, ImageType, Plan
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import as_pixels, astronaut, encoded, samples

# Any: the type of an estimation depends on its name.
Estimate = Callable[..., Any]


@pytest.fixture(scope="module")
def pipeline(engine: Engine) -> Pipeline:
    return Pipeline(engine, Plan(estimators=available(engine.tasks)))


@pytest.fixture(scope="module")
def estimate(pipeline: Pipeline) -> Estimate:
    return partial(_estimate, pipeline)


def _estimate(pipeline: Pipeline, pixels: NDArray[np.uint8], **options: Any) -> Any:
    (face,) = pipeline.process(ImageInput(encoded(pixels), **options)).faces
    return face


@pytest.fixture(scope="module")
def portrait(estimate: Estimate) -> Any:
    return estimate(astronaut())


@pytest.fixture(scope="module")
def group(pipeline: Pipeline) -> tuple[Any, ...]:
    """The faces of the first sample: left one sad clown, middle one looking down, right one laughing, head tilted."""
    return tuple(sorted(pipeline.process(ImageInput(samples()[0])).faces, key=lambda face: face.rect.x))


def tilted(degrees: float) -> NDArray[np.uint8]:
    return as_pixels(cv2.warpAffine(astronaut(), cv2.getRotationMatrix2D((225, 115), -degrees, 1.0), (512, 512)))


def test_the_astronaut_is_a_smiling_woman_who_looks_into_the_camera(portrait: Any) -> None:
    found = portrait.estimations
    assert found["basic_attributes"].gender == 0
    assert 25 <= found["basic_attributes"].age <= 50
    assert found["emotions"].predominant == "happiness"
    assert sum(found["emotions"].scores.values()) == pytest.approx(1, abs=1e-3)
    assert found["mouth_attributes"].smile > 0.8
    assert found["mouth_attributes"].with_teeth > 0.5
    assert found["mouth_attributes"].opened < 0.5
    assert found["eyes_attributes"].left_eye.state == "open"
    assert found["eyes_attributes"].right_eye.state == "open"
    assert abs(found["head_pose"].yaw) < 20
    assert abs(found["head_pose"].pitch) < 15
    assert min(found["quality"].blurriness, found["quality"].dark, found["quality"].light) > 0.8


def test_roll_follows_the_picture(estimate: Estimate, portrait: Any) -> None:
    upright = portrait.estimations["head_pose"].roll
    for degrees in (-20, 15, 30):
        roll = estimate(tilted(degrees)).estimations["head_pose"].roll
        assert roll - upright == pytest.approx(degrees, abs=4)


def test_a_mirrored_face_mirrors_yaw_roll_and_gaze(estimate: Estimate, portrait: Any) -> None:
    mirrored = estimate(np.ascontiguousarray(astronaut()[:, ::-1])).estimations
    pose, gaze = portrait.estimations["head_pose"], portrait.estimations["gaze"]
    assert mirrored["head_pose"].yaw == pytest.approx(-pose.yaw, abs=4)
    assert mirrored["head_pose"].roll == pytest.approx(-pose.roll, abs=4)
    assert mirrored["head_pose"].pitch == pytest.approx(pose.pitch, abs=4)
    assert mirrored["gaze"].yaw == pytest.approx(-gaze.yaw, abs=8)
    assert mirrored["gaze"].pitch == pytest.approx(gaze.pitch, abs=8)


def test_yaw_tells_left_from_right(pipeline: Pipeline) -> None:
    faces = sorted(pipeline.process(ImageInput(samples()[4])).faces, key=lambda face: face.rect.x)
    yaws = [told(face, "head_pose").yaw for face in faces]
    assert yaws[1] > 20  # second from the left: nose towards the picture's right
    assert yaws[4] < -15  # the rightmost one: towards the left


def test_closed_eyes_are_closed_and_have_no_gaze(pipeline: Pipeline) -> None:
    face = max(pipeline.process(ImageInput(samples()[1])).faces, key=lambda found: found.rect.x)
    eyes = told(face, "eyes_attributes")
    assert (eyes.left_eye.state, eyes.right_eye.state) == ("closed", "closed")
    assert told(face, "gaze") is None


def test_a_laughing_mouth_is_wider_open_than_a_closed_one(group: tuple[Any, ...]) -> None:
    clown, _, laughing = (told(face, "mouth_attributes") for face in group)
    assert laughing.opened > clown.opened + 0.1
    assert laughing.with_teeth > 0.9
    assert clown.smile < 0.3
    assert laughing.regular + laughing.with_teeth == pytest.approx(laughing.smile)


def test_landmarks68_lie_where_their_names_say(portrait: Any) -> None:
    points = portrait.estimations["landmarks68"].points
    assert points.shape == (68, 2)
    left_eye, right_eye, nose, left_mouth, right_mouth = portrait.landmarks5
    eye_distance = np.linalg.norm(right_eye - left_eye)
    for group_mean, point in [
        (points[36:42].mean(0), left_eye),
        (points[42:48].mean(0), right_eye),
        (points[30], nose),
        (points[48], left_mouth),
        (points[54], right_mouth),
    ]:
        assert np.linalg.norm(group_mean - point) < 0.12 * eye_distance
    jaw = points[:17]
    assert np.all(np.diff(jaw[:, 0]) > 0)
    assert np.argmax(jaw[:, 1]) in (7, 8, 9)
    assert points[17:27, 1].max() < left_eye[1]


def test_iris_and_eyelids_lie_in_their_eyes(portrait: Any) -> None:
    eyes = portrait.estimations["eyes_attributes"]
    eye_distance = np.linalg.norm(portrait.landmarks5[1] - portrait.landmarks5[0])
    for eye, centre in ((eyes.right_eye, portrait.landmarks5[0]), (eyes.left_eye, portrait.landmarks5[1])):
        assert eye.iris.shape == (34, 2)
        assert eye.eyelid.shape == (6, 2)
        assert np.linalg.norm(eye.iris[0] - centre) < 0.12 * eye_distance
        radii = np.linalg.norm(eye.iris[1:] - eye.iris[0], axis=1)
        assert 0.05 * eye_distance < radii.min()
        assert radii.max() < 0.15 * eye_distance


def test_quality_sees_blur_darkness_glare_and_shadow(estimate: Estimate, portrait: Any) -> None:
    sharp = portrait.estimations["quality"]

    def changed(pixels: NDArray[np.uint8]) -> Any:
        return estimate(pixels).estimations["quality"]

    assert changed(as_pixels(cv2.GaussianBlur(astronaut(), (0, 0), 2.5))).blurriness < 0.2 < sharp.blurriness
    assert changed((astronaut() * 0.12).astype(np.uint8)).dark < 0.3 < sharp.dark
    bright = np.clip(astronaut().astype(int) + 130, 0, 255).astype(np.uint8)
    assert changed(bright).light < 0.5 < sharp.light
    assert changed(bright).specularity < 0.5 < sharp.specularity
    shadow = astronaut().astype(float)
    shadow[:, : int(portrait.landmarks5[2, 0])] *= 0.35
    assert changed(shadow.astype(np.uint8)).illumination < sharp.illumination - 0.2


def test_sharpness_falls_with_every_blur(portrait: Any) -> None:
    scores = [sharpness(portrait.warp)]
    scores += [sharpness(cv2.GaussianBlur(portrait.warp, (0, 0), sigma)) for sigma in (1.5, 3, 5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.9
    assert scores[-1] < 0.05


def test_uniformity_of_an_even_face_is_one_and_of_a_split_one_zero() -> None:
    points = np.array([[94, 100], [154, 100], [124, 135], [100, 170], [150, 170]], np.float32)
    even = np.full((250, 250), 0.5, np.float32)
    assert uniformity(even, points) == pytest.approx(1)
    split = even.copy()
    split[:, 124:] = 0.9
    assert uniformity(split, points) == 0


def test_luminance_of_greys_is_their_value() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    np.testing.assert_allclose(luminance(greys)[0], np.arange(256) / 255, atol=1e-4)


def painted(corners: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> Image:
    pixels = astronaut().copy()
    cv2.fillPoly(pixels, [np.array(corners, np.int32)], colour)
    return pixels


def shaded(portrait: Any) -> Image:
    left, right = portrait.landmarks5[:2]
    return painted([(left[0] - 20, left[1] - 12), (right[0] + 20, right[1] - 12), (right[0] + 20, right[1] + 12),
                    (left[0] - 20, left[1] + 12)], (15, 15, 15))  # fmt: skip


DESCRIPTOR_SCORES: Mapping[str, tuple[Callable[[Face], Image], float, float]] = {
    "as it is": (lambda _: astronaut(), 0.95, 1.0),
    "on its head": (lambda _: np.ascontiguousarray(astronaut()[::-1, ::-1]), 0.95, 1.0),
    "dark": (lambda _: (astronaut() * 0.15).astype(np.uint8), 0.6, 0.95),
    "nearly black": (lambda _: (astronaut() * 0.05).astype(np.uint8), 0.1, 0.7),
    "blurred": (lambda _: as_pixels(cv2.GaussianBlur(astronaut(), (0, 0), 3.5)), 0.3, 0.8),
    "small": (lambda _: as_pixels(cv2.resize(astronaut(), (128, 128), interpolation=cv2.INTER_AREA)), 0.6, 0.97),
    "dark glasses": (shaded, 0.3, 0.85),
}


@pytest.mark.parametrize("picture", DESCRIPTOR_SCORES)
def test_the_descriptor_score_says_how_fit_a_picture_is(estimate: Estimate, portrait: Any, picture: str) -> None:
    made, low, high = DESCRIPTOR_SCORES[picture]
    descriptor = estimate(made(portrait)).estimations["face_descriptor"]
    assert low <= descriptor.score <= high
    # What the score is for: the nearer to 1, the nearer to a good picture of the same face.
    assert float(descriptor.vector @ portrait.estimations["face_descriptor"].vector) > descriptor.score - 0.3


def scores(engine: Engine, warps: list[Any], points: list[Any]) -> list[float]:
    networks = EngineNetworks(engine, {}, engine.deadline())
    seen = networks.start(networks.for_task("face_detector").name, detector_crops(warps, engine.head))
    return suitability(warps, points, seen, engine.head)


def test_points_that_detector_and_mesh_see_apart_lower_the_score(engine: Engine, portrait: Any) -> None:
    """As on masked faces, where they lie .18 eye distances apart."""
    own = portrait.warp_landmarks5
    moved = own + np.array([0, 0.15 * np.linalg.norm(own[1] - own[0])], np.float32)
    as_found, apart = scores(engine, [portrait.warp, portrait.warp], [own, moved])
    assert as_found == portrait.estimations["face_descriptor"].score
    assert apart < as_found - 0.1


def test_a_warp_without_a_face_is_fit_for_nothing(engine: Engine, portrait: Any) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (250, 250, 3)).astype(np.uint8)
    assert scores(engine, [noise], [portrait.warp_landmarks5])[0] < 0.3


def test_a_stored_warp_says_nearly_what_its_photograph_said(pipeline: Pipeline, portrait: Any) -> None:
    warp = _estimate(pipeline, portrait.warp, image_type=ImageType.FACE_WARP, landmarks5=portrait.warp_landmarks5)
    photo, stored = portrait.estimations, warp.estimations
    assert abs(photo["basic_attributes"].age - stored["basic_attributes"].age) <= 3
    assert photo["basic_attributes"].gender == stored["basic_attributes"].gender
    assert photo["emotions"].predominant == stored["emotions"].predominant
    assert stored["head_pose"].yaw == pytest.approx(photo["head_pose"].yaw, abs=5)
    assert stored["quality"].blurriness == pytest.approx(photo["quality"].blurriness, abs=0.02)
    np.testing.assert_array_equal(stored["face_descriptor"].vector, photo["face_descriptor"].vector)
    assert stored["face_descriptor"].score == photo["face_descriptor"].score


def test_eyes_are_twice_as_far_apart_in_a_picture_of_twice_the_size(estimate: Estimate, portrait: Any) -> None:
    """The pupils are 42.8 px apart, read off the enlarged picture: (203.8, 101.3) and (246.5, 103.5)."""
    own = portrait.estimations["eye_distance"].pixels
    assert own == pytest.approx(42.8, rel=0.05)
    larger = estimate(cv2.resize(astronaut(), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    assert larger.estimations["eye_distance"].pixels == pytest.approx(2 * own, rel=0.03)
    assert estimation_block("eye_distance", portrait.estimations["eye_distance"]) == {"pixels": round(own, 2)}


def test_a_warp_does_not_tell_how_far_apart_the_eyes_were(estimate: Estimate, portrait: Any) -> None:
    assert estimate(portrait.warp, image_type=ImageType.FACE_WARP).estimations["eye_distance"] is None


def test_shapes_hold_json_values_under_the_names_of_the_api(portrait: Any) -> None:
    of_extraction = {"basic_attributes", "face_descriptor"}
    block: Any = face_detection_block(portrait, portrait.estimations.keys() - of_extraction)
    assert set(block) == {"rect", "score", "landmarks5", "landmarks68", "quality", "attributes", "face_quality"}
    assert set(block["rect"]) == {"x", "y", "width", "height"}
    assert len(block["landmarks68"]) == 68
    assert set(block["quality"]) == {"blurriness", "dark", "illumination", "specularity", "light"}
    attributes = block["attributes"]
    assert set(attributes) == {
        "head_pose", "gaze", "eyes_attributes", "mouth_attributes", "emotions", "liveness", "eye_distance",
    }  # fmt: skip
    assert attributes["emotions"]["predominant_emotion"] == "happiness"
    assert attributes["mouth_attributes"]["properties"]["smile_type"]["predominant_type"] == "with_teeth"
    assert attributes["eyes_attributes"]["left_eye"]["state"] == "open"
    assert len(attributes["eyes_attributes"]["left_eye"]["iris_landmarks"]) == 34
    assert _plain(block)


def test_what_was_not_estimated_is_null_or_absent(pipeline: Pipeline, engine: Engine) -> None:
    (face,) = Pipeline(engine, Plan()).process(ImageInput(encoded(astronaut()))).faces
    block: Any = face_detection_block(face, face.estimations)
    assert block["landmarks68"] is None
    assert block["quality"] is None
    assert block["attributes"] == {}
    assert estimation_block("gaze", None) is None


def test_a_shape_refuses_another_estimators_value(portrait: Any) -> None:
    with pytest.raises(TypeError, match="gaze"):
        estimation_block("gaze", portrait.estimations["head_pose"])


def _plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or type(value) in (str, int, float, bool)
