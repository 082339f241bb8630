"""Measurements of the estimators of image checks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from apps.common.errors import LunaError
from apps.recognition.engine.core import Engine
from apps.recognition.engine.mesh import CHIN, Mesh
from apps.recognition.engine.warps import warp_matrix
from apps.recognition.estimators.base import Subject
from apps.recognition.estimators.eyebrows import BROWS, eyebrows
from apps.recognition.estimators.eyes_attributes import EyeAttributes, EyesAttributes, EyeState
from apps.recognition.estimators.glasses import ESTIMATOR as GLASSES_ESTIMATOR
from apps.recognition.estimators.headwear import ESTIMATOR as HEADWEAR_ESTIMATOR
from apps.recognition.estimators.iris import Eye
from apps.recognition.estimators.red_eyes import red_share
from apps.recognition.estimators.registry import all_estimators, ordered
from apps.recognition.estimators.shoulders_position import SHOULDERS
from apps.recognition.estimators.skin import cheek_pixels, cielab
from apps.recognition.networks.labels import GLASSES
from apps.recognition.networks.specs import OutputSpec
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import Face, ImageInput, ImageType, Plan
from tests.unit.recognition.checks import pictures
from tests.unit.recognition.checks.pictures import EYES, Pixels
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import as_pixels, astronaut, encoded

NAMES = frozenset(
    {
        "background", "dynamic_range", "eyebrows", "face_color_type", "illumination_uniformity", "natural_light",
        "radial_distortion", "red_eyes", "shoulders_position",
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(engine: Engine) -> Pipeline:
    return Pipeline(engine, Plan(estimators=NAMES))


def estimations(pipeline: Pipeline, pixels: Pixels, kind: str = "PNG", **options: Any) -> Any:
    """Of the one face."""
    (face,) = pipeline.process(ImageInput(encoded(pixels, kind, **options))).faces
    return face.estimations


@pytest.fixture(scope="module")
def portrait(pipeline: Pipeline) -> Any:
    return estimations(pipeline, astronaut())


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (54.29, 80.81, 69.89)),  # B. Lindbloom's calculator, D50
        ((0, 0, 255), (29.57, 68.30, -112.03)),
    ],
)
def test_cielab_of_known_colours(rgb: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    assert cielab(rgb) == pytest.approx(expected, abs=0.05)


def test_cheeks_lie_beside_the_nose(portrait: Any, pipeline: Pipeline) -> None:
    face = pipeline.process(ImageInput(encoded(astronaut()))).faces[0]
    painted = face.warp.copy()
    left = face.warp_landmarks5[0]
    painted[130:150, int(left[0]) - 20 : int(left[0])] = (0, 0, 255)
    blue = (cheek_pixels(painted, face.warp_landmarks5) == (0, 0, 255)).all(1).mean()
    assert blue > 0.3
    assert len(cheek_pixels(face.warp, face.warp_landmarks5 + 1000)) == 0


def test_natural_light_falls_with_the_tint(pipeline: Pipeline, portrait: Any) -> None:
    assert portrait["natural_light"].score > 0.9
    scores = []
    for tint in (0.0, 0.3, 0.6):
        light = np.array([1 - tint, 1 - tint / 2, 1 + tint])
        scores.append(estimations(pipeline, pictures.recoloured(partial(np.multiply, light))))
    values = [each["natural_light"].score for each in scores]
    assert values[0] > values[2]
    assert scores[2]["natural_light"].score < 0.5
    assert estimations(pipeline, pictures.grey())["natural_light"].score == 0


def test_a_grey_photograph_in_a_colour_jpeg_is_grey(pipeline: Pipeline, portrait: Any) -> None:
    grey = estimations(pipeline, pictures.grey(), "JPEG", quality=60)["face_color_type"]
    assert (grey.predominant, portrait["face_color_type"].predominant) == ("grayscale", "color")
    assert grey.chroma < 1.5 < portrait["face_color_type"].chroma


def test_a_dim_red_glow_is_no_red_eye(pipeline: Pipeline, portrait: Any) -> None:
    assert portrait["red_eyes"].share < 0.05
    assert estimations(pipeline, pictures.red_eyed())["red_eyes"].share > 0.8
    brown = pictures.scaled(3)
    for x, y in EYES:
        cv2.circle(brown, (x * 3, y * 3), 9, (150, 85, 40), -1)
    assert estimations(pipeline, brown)["red_eyes"].score < 0.5


def test_one_red_eye_is_enough(pipeline: Pipeline) -> None:
    pixels = pictures.scaled(3)
    cv2.circle(pixels, (EYES[1][0] * 3, EYES[1][1] * 3), 9, (220, 40, 60), -1)
    assert estimations(pipeline, pixels)["red_eyes"].score >= 0.5


def test_an_eye_outside_of_the_picture_is_not_red() -> None:
    red = np.full((40, 40, 3), (250, 20, 20), np.uint8)
    points = np.full((76, 2), 20, np.float32)
    assert red_share(red, Eye(points, points)) == 1
    assert red_share(red, Eye(points, points - 200)) == red_share(red, Eye(points, points + 200)) == 0


@pytest.mark.parametrize("level", [20, 128, 240])
def test_lightness_is_that_of_the_wall(pipeline: Pipeline, level: int) -> None:
    found = estimations(pipeline, pictures.before_a_wall(astronaut(), (level, level, level)))["background"]
    assert found.lightness == pytest.approx(level / 255, abs=0.12)
    assert found.uniformity > 0.9


def test_background_does_not_depend_on_the_pictures_size(pipeline: Pipeline, portrait: Any) -> None:
    larger = estimations(pipeline, pictures.scaled(2))["background"]
    assert larger.lightness == pytest.approx(portrait["background"].lightness, abs=0.02)
    assert larger.uniformity == pytest.approx(portrait["background"].uniformity, abs=0.03)


def test_a_head_that_fills_the_picture_has_no_background(pipeline: Pipeline) -> None:
    assert estimations(pipeline, astronaut()[70:190, 168:280])["background"] is None


def test_dynamic_range_falls_with_contrast(pipeline: Pipeline, portrait: Any) -> None:
    flatter = estimations(pipeline, pictures.recoloured(lambda values: 90 + values * 0.3))["dynamic_range"].score
    assert flatter < portrait["dynamic_range"].score - 0.1


def test_a_barrel_is_measured(pipeline: Pipeline) -> None:
    def bending(pixels: Pixels) -> float:
        result = pipeline.process(ImageInput(encoded(pixels, "JPEG", quality=95)))
        distortion: Any = result.faces[0].estimations["radial_distortion"]
        assert len({id(face.estimations["radial_distortion"]) for face in result.faces}) == 1
        return float(distortion.bending)

    group = pictures.photograph(5)
    assert bending(group) == 0
    assert bending(pictures.bent(group, 0.2)) == 0.2


def test_without_straight_things_distortion_cannot_be_said(pipeline: Pipeline, portrait: Any) -> None:
    assert portrait["radial_distortion"] is None
    assert estimations(pipeline, pictures.bent(astronaut(), 0.5))["radial_distortion"] is None


@pytest.mark.parametrize("size_px", [(10, 32_000), (32_000, 3), (1, 1)])
def test_a_strip_of_a_picture_has_no_distortion_to_tell(subject: Subject, size_px: tuple[int, int]) -> None:
    strip = replace(subject, image=np.zeros((*size_px, 3), np.uint8))
    distortion: Any = all_estimators()["radial_distortion"]
    assert distortion.estimate([strip], Labeller((), "none", [])) == [None]


def test_shoulders_outside_of_the_picture_are_hidden(pipeline: Pipeline) -> None:
    found = estimations(pipeline, astronaut()[:160])["shoulders_position"]
    assert (found.state, found.tilt) == ("hidden", None)


def test_shoulders_tilt_with_the_picture(pipeline: Pipeline) -> None:
    wall = pictures.before_a_wall(astronaut(), (220, 220, 220))
    matrix = cv2.getRotationMatrix2D((256, 256), -10, 0.7)
    tilted = as_pixels(cv2.warpAffine(wall, matrix, (512, 512), borderValue=(220, 220, 220)))
    upright, turned = (estimations(pipeline, pixels)["shoulders_position"] for pixels in (wall, tilted))
    assert upright.state == "parallel"
    assert turned.state == "non-parallel"
    assert turned.tilt == pytest.approx(upright.tilt + 10, abs=4)


def test_a_warp_says_nothing_of_its_picture(pipeline: Pipeline) -> None:
    face: Face = pipeline.process(ImageInput(encoded(astronaut()))).faces[0]
    (of_warp,) = pipeline.process(ImageInput(encoded(face.warp), image_type=ImageType.FACE_WARP)).faces
    unsaid = {name for name, value in of_warp.estimations.items() if value is None}
    # The lines of this warp do not tell whether a lens bent them.
    assert unsaid == {"background", "dynamic_range", "illumination_uniformity", "radial_distortion"}
    assert told(of_warp, "shoulders_position").state in SHOULDERS
    assert told(of_warp, "natural_light").score == pytest.approx(told(face, "natural_light").score, abs=0.1)


def eyes_of(openness: float) -> EyesAttributes:
    none = np.zeros((0, 2), np.float32)
    eye = EyeAttributes(EyeState.OPEN, openness, none, none)
    return EyesAttributes(eye, eye)


@pytest.mark.parametrize(
    ("height", "openness", "state"),
    [(0.19, 0.35, "neutral"), (0.27, 0.35, "raised"), (0.11, 0.35, "frowning"), (0.11, 0.1, "squinting")],
)
def test_brows_by_their_height(height: float, openness: float, state: str) -> None:
    """A face whose chin is 100 below its eyes."""
    shape = np.zeros((468, 3), np.float32)
    shape[CHIN, 1] = 100
    shape[[vertex for brow in BROWS for vertex in brow], 1] = -100 * height
    found = eyebrows(shape, eyes_of(openness))
    assert (found.state, found.height) == (state, pytest.approx(height))


class Labeller:
    """Networks with one of a task, whose scores are told."""

    def __init__(self, labels: Sequence[str], activation: str, raw: Sequence[Sequence[float]]) -> None:
        output = OutputSpec("scores", (len(labels),), "", activation, tuple(labels))
        entry = SimpleNamespace(width=64, crop_scale=1.5, crop="warp")
        self.network: Any = SimpleNamespace(name="mine", labelled_output=output, outputs=(output,), input=entry)
        self.network.companions = ()
        self.raw = np.array(raw, np.float32)
        self.crops: NDArray[np.uint8] | None = None

    def for_task(self, task: str) -> Any:
        assert task in ("glasses", "headwear")
        return self.network

    def for_descriptor(self, task: str) -> Any:
        raise AssertionError

    def manifest(self, network: str) -> Any:
        raise AssertionError

    def run(self, network: str, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        self.crops = crops
        return {"scores": self.raw}

    def start(self, network: str, crops: NDArray[np.uint8]) -> Callable[[], dict[str, NDArray[Any]]]:
        return partial(self.run, network, crops)


@pytest.fixture(scope="module")
def subject(engine: Engine) -> Subject:
    """Return the astronaut; the 68 landmarks replace the mesh, of which only the bounding box is used."""
    pipeline = Pipeline(engine, Plan(estimators=frozenset({"landmarks68"})))
    face = pipeline.process(ImageInput(encoded(astronaut()))).faces[0]
    landmarks: Any = face.estimations["landmarks68"]
    mesh = Mesh(landmarks.points, np.zeros((468, 3), np.float32), 1.0, warp_matrix(face.landmarks5))
    box = np.array([face.rect.x, face.rect.y, face.rect.x + face.rect.width, face.rect.y + face.rect.height])
    return Subject(
        image=astronaut(),
        box=box.astype(np.float32),
        score=face.score,
        landmarks5=face.landmarks5,
        warp=face.warp,
        warp_landmarks5=face.warp_landmarks5,
        warp_matrix=warp_matrix(face.landmarks5),
        results={"mesh": mesh},
    )


def test_glasses_by_a_users_network(subject: Subject) -> None:
    networks = Labeller(GLASSES, "softmax", [[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    first, second = GLASSES_ESTIMATOR.estimate([subject, replace(subject)], networks)
    assert (first.predominant, second.predominant) == ("eyeglasses", "no_glasses")
    assert sum(first.scores.values()) == pytest.approx(1)
    assert networks.crops is not None
    assert networks.crops.shape == (2, 64, 64, 3)


def test_headwear_by_a_users_network(subject: Subject) -> None:
    (found,) = HEADWEAR_ESTIMATOR.estimate([subject], Labeller(("none", "hat"), "sigmoid", [[-1.0, 1.0]]))
    assert found.predominant == "hat"
    assert found.scores["hat"] == pytest.approx(1 / (1 + np.exp(-1)))
    (raw,) = HEADWEAR_ESTIMATOR.estimate([subject], Labeller(("none", "hat"), "none", [[0.9, 0.1]]))
    assert raw.scores == pytest.approx({"none": 0.9, "hat": 0.1})


@pytest.mark.parametrize("name", ["glasses", "headwear"])
def test_without_a_network_the_estimator_is_not_available(engine: Engine, name: str) -> None:
    assert name in all_estimators()
    assert name not in engine.tasks
    with pytest.raises(LunaError) as error:
        ordered([name], engine.tasks)
    assert error.value.code == 200005
