"""The whole pipeline with real networks: detections, dependencies of descriptors, policies and warps."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.recognition.engine.core import Engine
from apps.recognition.estimators.registry import available
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import Face, ImageInput, ImageResult, ImageType, MultifacePolicy, Plan, Rect
from tests.unit.recognition.pictures import as_pixels, astronaut, encoded, samples

DESCRIPTOR = Plan(estimators=frozenset({"face_descriptor"}))
FACE_BOX = Rect(180, 60, 90, 110)
NEAREST_STRANGER, SAME_WOMAN = 0.50, 0.65  # cosines; measured .481 and .694


def found(engine: Engine, data: bytes, plan: Plan = DESCRIPTOR, **options: Any) -> ImageResult:
    return Pipeline(engine, plan).process(ImageInput(data, "picture", **options))


def one(engine: Engine, data: bytes, plan: Plan = DESCRIPTOR, **options: Any) -> Face:
    result = found(engine, data, plan, **options)
    assert result.error is None
    (face,) = result.faces
    return face


def vector(face: Face) -> np.ndarray:
    descriptor = face.estimations["face_descriptor"]
    assert isinstance(descriptor, Descriptor)
    return descriptor.vector


def overlap(rect: Rect, other: Rect) -> float:
    width = min(rect.x + rect.width, other.x + other.width) - max(rect.x, other.x)
    height = min(rect.y + rect.height, other.y + other.height) - max(rect.y, other.y)
    return max(0, width) * max(0, height) / min(rect.width * rect.height, other.width * other.height)


@pytest.fixture(scope="module")
def portrait(engine: Engine) -> Face:
    return one(engine, encoded(astronaut()))


@pytest.fixture(scope="module")
def groups(engine: Engine) -> list[ImageResult]:
    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(lambda data: found(engine, data), samples()))


def test_the_astronaut_is_found_where_she_is(portrait: Face) -> None:
    assert overlap(portrait.rect, FACE_BOX) > 0.8
    assert portrait.score > 0.8
    left_eye, right_eye, nose, left_mouth, right_mouth = portrait.landmarks5
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert left_mouth[0] < right_mouth[0]
    assert portrait.warp.shape == (250, 250, 3)
    assert portrait.warp.dtype == np.uint8
    np.testing.assert_allclose(portrait.warp_landmarks5[:2].mean(0), (124.5, 100), atol=6)


def test_the_descriptor_is_a_unit_vector_of_the_default_version(engine: Engine, portrait: Face) -> None:
    descriptor: Any = portrait.estimations["face_descriptor"]
    spec = engine.manifest(engine.tasks["face_descriptor"]).descriptor
    assert descriptor.version == spec.version
    assert descriptor.vector.dtype == np.float32
    assert descriptor.vector.shape == (spec.dimension,)
    assert np.linalg.norm(descriptor.vector) == pytest.approx(1, abs=1e-6)
    assert descriptor.score > 0.9


def test_all_faces_of_the_sample_photographs_are_found(groups: list[ImageResult]) -> None:
    assert [len(result.faces) for result in groups] == [3, 3, 3, 4, 5, 4]
    assert all(result.error is None for result in groups)


def test_the_woman_of_two_photographs_is_nearer_than_any_stranger(groups: list[ImageResult]) -> None:
    cosines = sorted(
        float(vector(face) @ vector(other))
        for number, result in enumerate(groups)
        for other_result in groups[number + 1 :]
        for face in result.faces
        for other in other_result.faces
    )
    assert cosines[-1] > SAME_WOMAN
    assert cosines[-2] < NEAREST_STRANGER
    first, third = groups[0].faces, groups[2].faces
    assert max(float(vector(a) @ vector(b)) for a in first for b in third) == cosines[-1]


def test_strangers_on_one_photograph_stay_apart(groups: list[ImageResult]) -> None:
    for result in groups:
        vectors = np.stack([vector(face) for face in result.faces])
        cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
        assert cosines.max() < NEAREST_STRANGER


def test_a_picture_gives_the_same_result_every_time(engine: Engine, portrait: Face) -> None:
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda _: one(engine, encoded(astronaut())), range(8)))
    for face in again:
        assert face.rect == portrait.rect
        np.testing.assert_array_equal(face.warp, portrait.warp)
        np.testing.assert_array_equal(vector(face), vector(portrait))


def test_a_stored_warp_gives_the_descriptor_of_its_photograph(engine: Engine, portrait: Face) -> None:
    known: dict[str, Any] = {"image_type": ImageType.FACE_WARP, "landmarks5": portrait.warp_landmarks5}
    exact = one(engine, encoded(portrait.warp), **known)
    np.testing.assert_array_equal(vector(exact), vector(portrait))
    assert exact.rect == Rect(0, 0, 250, 250)
    jpeg = one(engine, encoded(portrait.warp, "JPEG", quality=95), **known)
    assert float(vector(jpeg) @ vector(portrait)) > 0.999


def test_the_face_of_an_unknown_warp_is_found_again(engine: Engine, portrait: Face) -> None:
    again = one(engine, encoded(portrait.warp), image_type=ImageType.FACE_WARP)
    np.testing.assert_allclose(again.warp_landmarks5, portrait.warp_landmarks5, atol=6)
    assert float(vector(again) @ vector(portrait)) > 0.98


def test_a_warp_without_a_face_says_so(engine: Engine) -> None:
    result = found(engine, encoded(np.full((250, 250, 3), 90, np.uint8)), image_type=ImageType.FACE_WARP)
    assert result.error.code == 100009
    assert result.faces == ()


@pytest.mark.parametrize("size", [(250, 249), (500, 500), (1, 1)])
def test_a_warp_of_another_size_is_refused(engine: Engine, size: tuple[int, int]) -> None:
    result = found(engine, encoded(np.zeros((*size, 3), np.uint8)), image_type=ImageType.FACE_WARP)
    assert result.error.code == 11030
    assert result.error.detail == "Image size is not equal to 250x250"


def test_boxes_for_a_warp_are_refused(engine: Engine, portrait: Face) -> None:
    result = found(engine, encoded(portrait.warp), image_type=ImageType.FACE_WARP, face_boxes=(Rect(0, 0, 9, 9),))
    assert result.error.code == 11047


@pytest.mark.parametrize("turned", [0, 1, 2, 3])
def test_a_face_on_a_tilted_picture_is_the_same_person(engine: Engine, portrait: Face, turned: int) -> None:
    centre = (225.0, 115.0)
    matrix = cv2.getRotationMatrix2D(centre, 12 * turned, 1.0)
    face = one(engine, encoded(as_pixels(cv2.warpAffine(astronaut(), matrix, (512, 512)))))
    assert float(vector(face) @ vector(portrait)) > 0.96


@pytest.mark.parametrize("size", [(40, 60), (3, 900), (900, 3), (1, 1), (256, 256), (257, 257)])
def test_pictures_of_any_shape_without_a_face_have_none(engine: Engine, size: tuple[int, int]) -> None:
    result = found(engine, encoded(np.random.default_rng(3).integers(0, 255, (*size, 3)).astype(np.uint8)))
    assert result.error is None
    assert result.faces == ()
    assert (result.height, result.width) == size


def test_a_box_finds_its_face_again(engine: Engine, portrait: Face) -> None:
    loose = Rect(portrait.rect.x - 12, portrait.rect.y + 8, portrait.rect.width + 20, portrait.rect.height)
    face = one(engine, encoded(astronaut()), face_boxes=(loose,))
    assert overlap(face.rect, portrait.rect) > 0.85
    assert float(vector(face) @ vector(portrait)) > 0.99


def test_a_box_without_a_face_is_kept_only_where_it_is_trusted(engine: Engine) -> None:
    sky = Rect(300, 20, 60, 60)
    assert found(engine, encoded(astronaut()), face_boxes=(sky,)).faces == ()
    face = one(engine, encoded(astronaut()), face_boxes=(sky,), trusted_boxes=True)
    assert face.rect == sky


@pytest.mark.parametrize("box", [Rect(600, 10, 50, 50), Rect(10, 10, 0, 40), Rect(-50, 0, 50, 50), Rect(0, 512, 9, 9)])
def test_a_box_outside_of_the_picture_is_refused(engine: Engine, box: Rect) -> None:
    result = found(engine, encoded(astronaut()), face_boxes=(box,))
    assert result.error.code == 100016


def test_several_faces_where_one_is_allowed_are_an_error(engine: Engine) -> None:
    result = found(engine, samples()[0], Plan(multiface=MultifacePolicy.NOT_ALLOWED))
    assert result.error.code == 11038
    assert "picture" in result.error.detail
    assert found(engine, encoded(astronaut()), Plan(multiface=MultifacePolicy.NOT_ALLOWED)).error is None


def test_the_best_face_is_the_first_of_all(engine: Engine, groups: list[ImageResult]) -> None:
    best = one(engine, samples()[4], Plan(multiface=MultifacePolicy.BEST))
    assert best.rect == groups[4].faces[0].rect
    weights = [face.score * face.rect.width * face.rect.height for face in groups[4].faces]
    assert weights == sorted(weights, reverse=True)


def test_a_score_threshold_leaves_the_clear_faces(engine: Engine, groups: list[ImageResult]) -> None:
    scores = sorted(face.score for face in groups[4].faces)
    left = found(engine, samples()[4], Plan(score_threshold=scores[2]))
    assert sorted(face.score for face in left.faces) == scores[2:]


def test_without_detection_there_are_no_faces(engine: Engine) -> None:
    result = found(engine, encoded(astronaut()), Plan(detect_face=False))
    assert result.error is None
    assert result.faces == ()


def test_a_plan_without_warps_hands_none_out(engine: Engine) -> None:
    assert one(engine, encoded(astronaut()), Plan(warp=False)).warp.size == 0


def test_stages_add_up_to_the_total(engine: Engine) -> None:
    stages = dict(found(engine, encoded(astronaut())).stage_ms)
    total, networks = stages.pop("total"), stages.pop("networks")
    assert set(stages) == {"decode", "detect", "face_descriptor"}
    assert networks < sum(stages.values()) <= total


def test_an_unknown_descriptor_version_is_200003(engine: Engine) -> None:
    with pytest.raises(LunaError) as caught:
        Pipeline(engine, Plan(descriptor_version=59))
    assert caught.value.code == 200003


def test_bodies_are_not_silently_left_out(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pose = {task: network for task, network in engine.tasks.items() if task != "body_pose"}
    monkeypatch.setattr(engine, "_tasks", without_pose)
    with pytest.raises(LunaError) as caught:
        Pipeline(engine, Plan(detect_body=True))
    assert caught.value.code == 200005


def test_no_network_looks_at_the_same_thing_twice(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for together: with everything on, every network sees every crop once."""
    seen: Counter[tuple[str, bytes]] = Counter()
    runs: Counter[str] = Counter()
    start = engine.start

    def watched(network: str, tensor: np.ndarray, deadline: float) -> Callable[[], dict[str, np.ndarray]]:
        runs[network] += 1
        seen.update((network, crop.tobytes()) for crop in tensor)
        return start(network, tensor, deadline)

    monkeypatch.setattr(engine, "start", watched)
    everything = available(engine.tasks)
    result = found(engine, encoded(astronaut()), Plan(detect_body=True, estimators=everything))
    assert result.error is None
    assert everything == {*result.estimations, *result.faces[0].estimations, *result.bodies[0].estimations}
    assert max(seen.values()) == 1
    twice = {
        "yunet2023": 2,
        "movenet-lightning": 2,
        "centernet": 2,
    }  # picture and warp; body and shoulders; picture and body, for backpacks
    assert runs == {network: twice.get(network, 1) for network in runs}
