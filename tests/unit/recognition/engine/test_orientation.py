"""Sideways and upside-down pictures, with and without automatic rotation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.common.config import Directories, config
from apps.common.descriptors import Descriptor
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.decode import decode
from apps.recognition.engine.detection import Detection
from apps.recognition.run.orientation import upright
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import Face, ImageInput, ImageResult, ImageType, Plan, Rect
from tests.unit.recognition.pictures import astronaut, encoded, samples

PLAN = Plan(estimators=frozenset({"face_descriptor", "head_pose"}))
QUARTERS = (1, 2, 3)


@pytest.fixture(scope="module")
def turning(engine: Engine) -> Engine:
    """As by default."""
    assert engine.config.auto_rotation
    return engine


@pytest.fixture(scope="module")
def staying() -> Iterator[Engine]:
    running = Engine(EngineConfig(config(Directories).networks, auto_rotation=False))
    yield running
    running.close()


def turned(pixels: NDArray[np.uint8], quarters: int) -> bytes:
    return encoded(np.ascontiguousarray(np.rot90(pixels, quarters)), "BMP")


def seen(engine: Engine, data: bytes, **options: Any) -> ImageResult:
    return Pipeline(engine, PLAN).process(ImageInput(data, "picture", **options))


def vector(face: Face) -> np.ndarray:
    descriptor = face.estimations["face_descriptor"]
    assert isinstance(descriptor, Descriptor)
    return descriptor.vector


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return decode(data, max_bytes=10_000_000, max_pixels=10_000_000).pixels


@pytest.mark.parametrize("picture", [0, 2, 5])
@pytest.mark.parametrize("quarters", QUARTERS)
def test_photographs_are_turned_back(turning: Engine, picture: int, quarters: int) -> None:
    """Everything in the answer is as if the picture had been sent upright."""
    pixels = pixels_of(samples()[picture])
    expected, found = seen(turning, turned(pixels, 0)), seen(turning, turned(pixels, quarters))
    assert (found.width, found.height) == (expected.width, expected.height) == pixels.shape[1::-1]
    assert [face.rect for face in found.faces] == [face.rect for face in expected.faces]
    for one, other in zip(found.faces, expected.faces, strict=True):
        np.testing.assert_allclose(vector(one), vector(other), atol=1e-5)


@pytest.mark.parametrize("quarters", QUARTERS)
def test_without_the_setting_a_picture_stays(staying: Engine, quarters: int) -> None:
    pixels = pixels_of(samples()[2])
    found = seen(staying, turned(pixels, quarters))
    assert (found.width, found.height) == (pixels.shape[1::-1] if quarters == 2 else pixels.shape[:2])


def test_an_upright_picture_costs_nothing_and_stays(
    turning: Engine, staying: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "rot90", lambda *args: pytest.fail("it was turned"))
    data = samples()[2]
    assert [face.rect for face in seen(turning, data).faces] == [face.rect for face in seen(staying, data).faces]


def test_a_picture_without_faces_stays(turning: Engine) -> None:
    found = seen(turning, encoded(np.zeros((60, 80, 3), np.uint8)))
    assert (found.width, found.height, found.faces) == (80, 60, ())


def test_boxes_and_warps_are_not_turned(turning: Engine) -> None:
    lying = np.rot90(astronaut())[:, :500]
    boxed = seen(turning, turned(lying, 0), face_boxes=(Rect(60, 240, 110, 90),), trusted_boxes=True)
    assert (boxed.width, boxed.height, len(boxed.faces)) == (500, 512, 1)
    (face,) = seen(turning, encoded(astronaut())).faces
    warp = np.rot90(face.warp)
    (lying_face,) = seen(turning, turned(warp, 0), image_type=ImageType.FACE_WARP).faces
    np.testing.assert_array_equal(lying_face.warp, warp)


@pytest.mark.parametrize(
    ("score", "better", "looks", "glances"),
    [(0.95, 0.0, 1, 0), (0.88, 0.0, 1, 3), (0.88, 0.8, 1, 3), (0.88, 0.93, 4, 3), (0.7, 0.0, 4, 0)],
)
def test_a_glance_bounds_the_looks_of_a_likely_portrait(score: float, better: float, looks: int, glances: int) -> None:
    """`better`: score of the face after a rotation. Networks are replaced by their answers."""
    counts = {"look": 0, "glance": 0}

    def face(certainty: float) -> list[Detection]:
        points = np.array([[3, 4], [7, 4], [5, 6], [3, 8], [7, 8]], np.float32)
        return [Detection(np.array([0, 0, 10, 10], np.float32), certainty, points)] if certainty else []

    def look(image: NDArray[np.uint8]) -> list[Detection]:
        counts["look"] += 1
        return face(score if image.shape == (20, 10, 3) and counts["look"] == 1 else better)

    def glance(image: NDArray[np.uint8]) -> list[Detection]:
        counts["glance"] += 1
        return face(better)

    upright(np.zeros((20, 10, 3), np.uint8), look, 0.9, 0.3, glance)
    assert counts == {"look": looks, "glance": glances}
