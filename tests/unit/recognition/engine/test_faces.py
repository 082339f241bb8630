"""Where faces are and which way up: every roll, small faces of large pictures, masks, crowds, faces that are cut."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from apps.common.config import Directories, config
from apps.common.descriptors import Descriptor
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.detection import Detection, Window, is_cut, suppressed, turned
from apps.recognition.engine.geometry import square_transform
from apps.recognition.engine.mesh import Mesh
from apps.recognition.run.faces import FaceFinder
from apps.recognition.run.networks import EngineNetworks
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import Face, Image, ImageInput, ImageResult, Plan
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import as_pixels, astronaut, encoded

PLAN = Plan(estimators=frozenset({"face_descriptor", "head_pose"}))
POINTS = np.array([[3, 4], [7, 4], [5, 6], [3, 8], [7, 8]], np.float32)


@pytest.fixture(scope="module")
def staying() -> Iterator[Engine]:
    """Automatic rotation is off: results depend only on the face."""
    running = Engine(EngineConfig(config(Directories).networks, auto_rotation=False))
    yield running
    running.close()


def seen(engine: Engine, pixels: Image, plan: Plan = PLAN) -> ImageResult:
    kind = {"quality": 95} if pixels.size > 4_000_000 else {}
    data = encoded(pixels, "JPEG", **kind) if kind else encoded(pixels, "BMP")
    result = Pipeline(engine, plan).process(ImageInput(data, "picture"))
    assert result.error is None
    return result


def networks_of(engine: Engine) -> EngineNetworks:
    return EngineNetworks(engine, {}, engine.deadline())


def vector(face: Face) -> NDArray[np.float32]:
    descriptor = face.estimations["face_descriptor"]
    assert isinstance(descriptor, Descriptor)
    return descriptor.vector


@pytest.fixture(scope="module")
def portrait(staying: Engine) -> Face:
    (face,) = seen(staying, astronaut()).faces
    return face


def rolled(degrees: float) -> Image:
    """The astronaut's head, turned clockwise around its middle: 300×300."""
    matrix = cv2.getRotationMatrix2D((225.0, 115.0), -degrees, 1.0)
    matrix[:, 2] += 150 - np.array([225, 115])
    return as_pixels(cv2.warpAffine(astronaut(), matrix, (300, 300), borderMode=cv2.BORDER_REPLICATE))


def turned_by(degrees: float, face: Face, portrait: Face) -> float:
    """How far a face's roll is from the portrait's turned by `degrees`."""
    rolls = [told(each, "head_pose").roll for each in (face, portrait)]
    return float((rolls[0] - rolls[1] - degrees + 180) % 360 - 180)


@pytest.mark.parametrize("degrees", range(-150, 181, 30))
def test_roll_is_right_all_around(staying: Engine, portrait: Face, degrees: int) -> None:
    (face,) = seen(staying, rolled(degrees)).faces
    assert turned_by(degrees, face, portrait) == pytest.approx(0, abs=6)
    assert float(vector(face) @ vector(portrait)) > 0.9


@pytest.mark.parametrize("degrees", [0, 45, 90, 135, 180, -90])
def test_turned_pictures_lose_no_face(engine: Engine, portrait: Face, degrees: int) -> None:
    (face,) = seen(engine, rolled(degrees)).faces
    assert abs(told(face, "head_pose").roll) < 55
    assert float(vector(face) @ vector(portrait)) > 0.9


def head(side_px: int) -> Image:
    """The astronaut's head, a square whose face is 0.45 of the side wide."""
    return as_pixels(cv2.resize(astronaut()[15:215, 125:325], (side_px, side_px), interpolation=cv2.INTER_AREA))


def on_grey(height: int, width: int, places: list[tuple[int, int]], side_px: int) -> Image:
    picture = np.full((height, width, 3), 120, np.uint8)
    for left, top in places:
        picture[top : top + side_px, left : left + side_px] = head(side_px)
    return picture


@pytest.mark.parametrize(
    ("height", "width", "places", "side_px"),
    [
        (1280, 1920, [(100, 100), (1000, 620), (1700, 1100)], 75),  # faces of 33 px
        (700, 9000, [(50, 100), (4444, 400), (8700, 300)], 220),
        (9000, 700, [(50, 100), (400, 4444), (300, 8700)], 220),
    ],
)
def test_small_faces_of_large_pictures_are_found(
    staying: Engine, portrait: Face, height: int, width: int, places: list[tuple[int, int]], side_px: int
) -> None:
    result = seen(staying, on_grey(height, width, places, side_px))
    middles = sorted((face.rect.x + face.rect.width / 2, face.rect.y + face.rect.height / 2) for face in result.faces)
    expected = sorted((left + side_px / 2, top + side_px / 2) for left, top in places)
    assert len(middles) == len(expected)
    np.testing.assert_allclose(middles, expected, atol=side_px / 4)
    assert min(float(vector(face) @ vector(portrait)) for face in result.faces) > 0.7


def test_without_tiles_they_are_not_looked_for(staying: Engine) -> None:
    config = replace(staying.config, face_tiles=0)
    picture = on_grey(700, 9000, [(50, 100)], 220)
    finder = FaceFinder(staying.head, networks_of(staying), config)
    assert finder.find(picture, rotate=False)[1] == []


@pytest.mark.parametrize("shape", [(1280, 1920), (700, 12000), (9000, 700), (6000, 8000), (100, 60000), (641, 641)])
@pytest.mark.parametrize("most", [1, 6, 24])
def test_tiles_cover_the_picture_and_are_bounded(engine: Engine, shape: tuple[int, int], most: int) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    crops, places = engine.head.tiles(picture, most)
    assert len(crops) == len(places) <= most
    covered = np.zeros((shape[0] // 20 + 1, shape[1] // 20 + 1), bool)
    for place in places:
        extent = crops.shape[1] / place.scale
        top, left = max(0, round(place.y / 20)), max(0, round(place.x / 20))
        covered[top : round((place.y + extent) / 20) + 1, left : round((place.x + extent) / 20) + 1] = True
    assert covered.all() or not places


def test_small_pictures_have_no_tiles(engine: Engine) -> None:
    assert engine.head.tiles(np.zeros((640, 500, 3), np.uint8), 24)[1] == []


def test_a_crowd_with_one_on_his_head(staying: Engine, portrait: Face) -> None:
    """Forty faces: all are found, and the one is not said to stand upright."""
    side = 120
    picture = on_grey(
        5 * side, 8 * side, [(column * side, row * side) for row in range(5) for column in range(8)], side
    )
    picture[2 * side : 3 * side, 3 * side : 4 * side] = head(side)[::-1, ::-1]
    faces = seen(staying, picture).faces
    assert len(faces) == 40
    inverted = [face for face in faces if abs(told(face, "head_pose").roll) > 90]
    assert [(face.rect.x // side, face.rect.y // side) for face in inverted] == [(3, 2)]
    assert float(vector(inverted[0]) @ vector(portrait)) > 0.8


@pytest.mark.parametrize(
    "part", [np.s_[:, 225:], np.s_[115:, :], np.s_[:, :225], np.s_[:115, :], np.s_[60:120, 190:240]]
)
def test_a_face_that_the_border_cuts(engine: Engine, part: tuple[slice, slice]) -> None:
    """The face may be missed, but nothing fails, and its box is inside of the picture."""
    pixels = np.ascontiguousarray(astronaut()[part])
    for face in seen(engine, pixels).faces:
        assert 0 <= face.rect.x < face.rect.x + face.rect.width <= pixels.shape[1]
        assert 0 <= face.rect.y < face.rect.y + face.rect.height <= pixels.shape[0]


def test_faces_below_the_smallest_size_are_left_out(staying: Engine, portrait: Face) -> None:
    networks = networks_of(staying)
    for min_face_px, count in ((portrait.rect.width - 5, 1), (portrait.rect.width + 5, 0)):
        finder = FaceFinder(staying.head, networks, replace(staying.config, min_face_px=min_face_px))
        assert len(finder.find(astronaut(), rotate=False)[1]) == count


def test_the_score_threshold_of_the_settings(portrait: Face) -> None:
    running = Engine(EngineConfig(config(Directories).networks, face_score=min(portrait.score + 0.02, 0.99)))
    try:
        assert seen(running, astronaut()).faces == ()
    finally:
        running.close()


def detection(*box: float, score: float = 0.9) -> Detection:
    return Detection(np.array(box, np.float32), score, POINTS)


def mesh_of(flag: float, roll: float = 0.0) -> Mesh:
    """A mesh whose eyes are turned by `roll` degrees in its crop."""
    shape = np.zeros((468, 3), np.float32)
    angle = np.radians(roll)
    for vertices, side in (((33, 133), -20), ((362, 263), 20)):
        shape[list(vertices), :2] = 96 + side * np.array([np.cos(angle), np.sin(angle)])
    return Mesh(shape[:, :2] + 1000, shape, flag, square_transform((96, 96), 192, 0.0, 192))


@pytest.fixture
def finder(staying: Engine) -> FaceFinder:
    return FaceFinder(staying.head, networks_of(staying), staying.config)


@pytest.mark.parametrize(("flag", "score", "expected"), [(0.1, 0.85, True), (0.1, 0.65, False), (0.8, 0.65, True)])
def test_the_mesh_does_not_overrule_a_sure_detector(
    finder: FaceFinder, flag: float, score: float, expected: bool
) -> None:
    assert finder.is_face(detection(0, 0, 10, 10, score=score), mesh_of(flag)) is expected


@pytest.mark.parametrize(("flag", "roll", "of_detector"), [(0.9, 5, False), (0.1, 5, True), (0.9, 170, True)])
def test_a_mesh_that_is_none_or_lies_gives_no_landmarks(
    finder: FaceFinder, flag: float, roll: float, of_detector: bool
) -> None:
    found = finder.landmarks5(detection(0, 0, 10, 10), mesh_of(flag, roll))
    assert np.array_equal(found, POINTS) is of_detector


def test_masked_and_shaded_faces_are_found(staying: Engine, portrait: Face) -> None:
    """A mask from the nose down, painted in one colour."""
    left_eye, right_eye, nose, _, _ = portrait.landmarks5
    for colour in ((120, 160, 200), (240, 240, 240), (20, 20, 20)):
        pixels = astronaut().copy()
        corners = [(left_eye[0] - 25, nose[1] - 8), (right_eye[0] + 25, nose[1] - 8), (right_eye[0] + 15, 170),
                   (left_eye[0] - 15, 170)]  # fmt: skip
        cv2.fillPoly(pixels, [np.array(corners, np.int32)], colour)
        (face,) = seen(staying, pixels).faces
        assert float(vector(face) @ vector(portrait)) > 0.5


def test_of_boxes_that_lie_in_one_another_the_best_stays() -> None:
    whole, part = detection(0, 0, 100, 100, score=0.9), detection(60, 60, 120, 120, score=0.8)  # .44 of the smaller
    beside = detection(70, 70, 150, 150, score=0.7)  # .14
    assert suppressed([part, beside, whole], 0.3) == [whole, beside]
    assert suppressed([whole], 0.3, before=[part]) == [part]
    assert suppressed([], 0.3) == []


def test_what_a_tile_cuts_is_a_part() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    tile = Window(50, 0, 2.0)  # shows 50..150 of the width, 0..100 of the height
    inside, at_inner_edge, at_outer_edge = np.array([[60, 5, 90, 60], [50, 5, 90, 60], [60, 0, 90, 60]], np.float32)
    assert not is_cut(inside, tile, 200, picture)
    assert is_cut(at_inner_edge, tile, 200, picture)
    assert not is_cut(at_outer_edge, tile, 200, picture)


def test_a_turned_detection_keeps_its_sides() -> None:
    quarter = np.array([[0.0, 1, 0], [-1, 0, 99]])  # as np.rot90 of a picture 100 px wide
    found = turned(detection(10, 20, 30, 60), quarter)
    np.testing.assert_allclose(found.box, [20, 69, 60, 89])
    np.testing.assert_allclose(found.keypoints[0], [4, 96])
