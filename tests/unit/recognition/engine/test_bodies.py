"""Bodies with real networks: detections, faces of bodies, crowds, boxes, warps; and the rules of assignment."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from apps.recognition.engine import bodies, objects, pose
from apps.recognition.engine.core import Engine
from apps.recognition.engine.geometry import apply
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageResult, ImageType, MultifacePolicy, Plan, Rect
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import as_pixels, astronaut, encoded, samples

EVERYBODY = Plan(detect_body=True, estimators=frozenset({"people_count"}))
BODIES = Plan(detect_face=False, detect_body=True)
PEOPLE = [3, 3, 3, 4, 5, 4]  # on the sample photographs, counted by eye


def found(engine: Engine, picture: np.ndarray | bytes, plan: Plan = BODIES, **options: Any) -> ImageResult:
    data = picture if isinstance(picture, bytes) else encoded(picture)
    return Pipeline(engine, plan).process(ImageInput(data, "picture", **options))


@pytest.fixture(scope="module")
def groups(engine: Engine) -> list[ImageResult]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda data: found(engine, data, EVERYBODY), samples()))


def test_the_people_of_the_sample_photographs_are_counted(groups: list[ImageResult]) -> None:
    assert [told(result, "people_count").count for result in groups] == PEOPLE


def test_heads_lie_where_the_faces_are(groups: list[ImageResult]) -> None:
    for result in groups:
        people = result.estimations["people_count"]
        assert isinstance(people, PeopleCount)
        for face in result.faces:
            distances = [np.linalg.norm(np.array(point) - face.landmarks5.mean(0)) for point in people.coordinates]
            assert min(distances) < 2


def test_every_body_has_its_own_face_inside(groups: list[ImageResult]) -> None:
    """In the fourth picture one body is hidden behind another."""
    assert [len(result.bodies) for result in groups] == [3, 3, 3, 3, 5, 4]
    for result in groups:
        indices = [body.face_index for body in result.bodies if body.face_index is not None]
        assert len(set(indices)) == len(indices) == min(len(result.faces), len(result.bodies))
        for body in result.bodies:
            if body.face_index is not None:
                x, y = result.faces[body.face_index].landmarks5.mean(0)
                assert body.rect.x < x < body.rect.x + body.rect.width
                assert body.rect.y < y < body.rect.y + body.rect.height / 2


def test_poses_stand_upright(groups: list[ImageResult]) -> None:
    for result in groups:
        for body in result.bodies:
            if body.face_index is None or (body.keypoints[[pose.LEFT_SHOULDER, pose.RIGHT_SHOULDER], 2] < 0.3).any():
                continue
            shoulders = body.keypoints[[pose.LEFT_SHOULDER, pose.RIGHT_SHOULDER], 1].mean()
            assert result.faces[body.face_index].landmarks5[:2, 1].mean() < shoulders


def test_warps_are_of_the_documented_size(groups: list[ImageResult]) -> None:
    warps = [body.warp for result in groups for body in result.bodies]
    assert {warp.shape for warp in warps} == {(250, 128, 3)}
    assert min(warp.std() for warp in warps) > 10


def test_tiles_find_more_of_a_crowd(engine: Engine) -> None:
    """The six photographs as one picture: 22 people. The whole picture alone shows the network 13 of them."""
    small = [
        cv2.resize(
            as_pixels(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)),
            (640, 460),
            interpolation=cv2.INTER_AREA,
        )
        for data in samples()
    ]
    crowd = as_pixels(np.vstack([np.hstack(small[:3]), np.hstack(small[3:])]))
    windows = [objects.whole(crowd)]
    tensor = engine.manifest("centernet").input.tensor(objects.crops(crowd, windows))
    outputs = engine.run("centernet", tensor, engine.deadline())
    at_once = objects.decode(outputs, windows, crowd, [objects.PERSON], 0.3, 0.4)
    result = found(engine, crowd, EVERYBODY)
    assert len(result.bodies) >= len(at_once) + 3
    assert abs(told(result, "people_count").count - sum(PEOPLE)) <= 2


def test_nobody_on_an_empty_picture(engine: Engine) -> None:
    result = found(engine, np.full((300, 400, 3), 90, np.uint8), EVERYBODY)
    assert (result.bodies, result.faces, told(result, "people_count").count) == ((), (), 0)


def test_bodies_alone_have_no_faces(engine: Engine) -> None:
    result = found(engine, astronaut())
    assert (len(result.faces), len(result.bodies), result.bodies[0].face_index) == (0, 1, None)


def test_several_bodies_can_be_refused(engine: Engine) -> None:
    plan = Plan(detect_face=False, detect_body=True, multiface=MultifacePolicy.NOT_ALLOWED)
    assert found(engine, samples()[5], plan).error.code == 11053
    assert found(engine, astronaut(), plan).error is None


def test_the_best_one_is_one_person(engine: Engine) -> None:
    result = found(engine, samples()[5], Plan(detect_body=True, multiface=MultifacePolicy.BEST))
    assert (len(result.faces), len(result.bodies), result.bodies[0].face_index) == (1, 1, 0)
    alone = found(engine, samples()[5], Plan(detect_face=False, detect_body=True, multiface=MultifacePolicy.BEST))
    assert len(alone.bodies) == 1


def test_the_score_threshold_holds_for_bodies(engine: Engine) -> None:
    assert found(engine, astronaut(), Plan(detect_face=False, detect_body=True, score_threshold=1.0)).bodies == ()


class TestBoxes:
    BOX = Rect(60, 20, 380, 490)

    def test_the_body_in_a_box_is_found_again(self, engine: Engine) -> None:
        (free,) = found(engine, astronaut()).bodies
        (body,) = found(engine, astronaut(), body_boxes=(self.BOX,)).bodies
        assert abs(body.rect.x - free.rect.x) < 40
        assert abs(body.rect.height - free.rect.height) < 60

    def test_an_empty_box_holds_nobody_unless_it_is_trusted(self, engine: Engine) -> None:
        empty = np.full((400, 400, 3), 90, np.uint8)
        box = Rect(100, 100, 80, 160)
        assert found(engine, empty, body_boxes=(box,)).bodies == ()
        (body,) = found(engine, empty, body_boxes=(box,), trusted_boxes=True).bodies
        assert (body.rect, body.score) == (box, 1.0)

    @pytest.mark.parametrize("box", [Rect(600, 0, 10, 10), Rect(0, -30, 20, 30), Rect(1, 1, 0, 5)])
    def test_a_box_outside_is_refused(self, engine: Engine, box: Rect) -> None:
        assert found(engine, astronaut(), body_boxes=(box,)).error.code == 100016


class TestWarps:
    def test_a_warp_is_one_body(self, engine: Engine) -> None:
        (body,) = found(engine, astronaut()).bodies
        (again,) = found(engine, body.warp, image_type=ImageType.BODY_WARP).bodies
        assert (again.rect, again.score) == (Rect(0, 0, 128, 250), 1.0)
        np.testing.assert_array_equal(again.warp, body.warp)
        box = np.array([body.rect.x, body.rect.y, body.rect.x + body.rect.width, body.rect.y + body.rect.height])
        moved = apply(bodies.warp_matrix(box.astype(np.float32)), body.keypoints[:5, :2])
        np.testing.assert_allclose(again.keypoints[:5, :2].mean(0), moved.mean(0), atol=8)

    @pytest.mark.parametrize("size", [(250, 250), (128, 250), (250, 127)])
    def test_another_size_is_refused(self, engine: Engine, size: tuple[int, int]) -> None:
        result = found(engine, np.zeros((*size, 3), np.uint8), image_type=ImageType.BODY_WARP)
        assert result.error.code == 11030
        assert result.error.detail == "Image size is not equal to 128x250"

    def test_a_face_warp_shows_no_body(self, engine: Engine) -> None:
        (face,) = found(engine, astronaut(), Plan()).faces
        result = found(engine, face.warp, Plan(detect_body=True), image_type=ImageType.FACE_WARP)
        assert (len(result.faces), result.bodies) == (1, ())

    @pytest.mark.parametrize("box", [(10, 20, 110, 220), (0, 0, 500, 100), (30, 0, 40, 400)])
    def test_the_box_lies_in_the_middle_with_a_margin(self, box: tuple[int, ...]) -> None:
        edges = np.array(box, np.float32)
        corners = apply(bodies.warp_matrix(edges), edges.reshape(2, 2) - 0.5)
        np.testing.assert_allclose(corners.mean(0), [63.5, 124.5], atol=1e-3)
        free = np.array([128, 250]) / (corners[1] - corners[0])
        assert free.min() == pytest.approx(1.1, abs=1e-3)


def body_at(x: float, y: float, *, head: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return a box of 100×300 at (x, y) and a pose with the head 30 px below its top."""
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[:5] = [x + 50, y + 30, 0.9 if head else 0.1]
    return np.array([x, y, x + 100, y + 300], np.float32), keypoints


def face_at(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """A face of 40 px whose middle is (x, y)."""
    return np.array([x - 20, y - 20, x + 20, y + 20], np.float32), np.tile([[x, y]], (5, 1)).astype(np.float32)


class TestPairs:
    def test_overlapping_bodies_keep_their_heads(self) -> None:
        people = [body_at(0, 0), body_at(60, 0)]
        assert bodies.pairs([face_at(110, 30), face_at(50, 30)], people) == {0: 1, 1: 0}

    def test_a_face_belongs_to_one_body(self) -> None:
        assert bodies.pairs([face_at(50, 30)], [body_at(5, 0), body_at(0, 0)]) == {1: 0}

    @pytest.mark.parametrize("face", [face_at(50, 250), face_at(250, 30), face_at(95, 30)])
    def test_a_face_elsewhere_belongs_to_nobody(self, face: tuple[np.ndarray, np.ndarray]) -> None:
        """Low in the box, outside of it, or far from the head."""
        assert bodies.pairs([face], [body_at(0, 0)]) in ({}, {0: 0} if face[1][0, 0] == 95 else {})

    def test_without_a_head_the_upper_half_counts(self) -> None:
        people = [body_at(0, 0, head=False)]
        assert bodies.pairs([face_at(50, 60)], people) == {0: 0}
        assert bodies.pairs([face_at(50, 200)], people) == {}


class TestPersons:
    SMALL = np.array([30, 60, 70, 160], np.float32)

    def test_a_part_is_no_person(self) -> None:
        whole, keypoints = body_at(0, 0)
        headless = np.zeros((17, 3), np.float32)
        assert bodies.persons([whole, self.SMALL], [keypoints, headless]) == [0]
        assert bodies.persons([whole, self.SMALL], [keypoints, keypoints]) == [0]

    def test_a_child_in_front_is_one(self) -> None:
        whole, keypoints = body_at(0, 0)
        child = np.zeros((17, 3), np.float32)
        child[:5] = [50, 80, 0.8]
        assert bodies.persons([whole, self.SMALL], [keypoints, child]) == [0, 1]


class TestObjects:
    def outputs(self, *peaks: tuple[int, int, int, float]) -> dict[str, np.ndarray]:
        """One window with objects of 80×160 px of the input at cells (row, column)."""
        heat = np.zeros((1, 128, 128, 80), np.float32)
        extent = np.zeros((1, 128, 128, 4), np.float32)
        for row, column, kind, score in peaks:
            heat[0, row, column, kind] = score
            extent[0, row, column] = [40, 80, 40, 80]
        return {"heat": heat, "peak": heat.copy(), "wh": extent}

    def test_boxes_come_back_to_the_picture(self) -> None:
        image = np.zeros((512, 1024, 3), np.uint8)
        (one,) = objects.decode(self.outputs((64, 50, 0, 0.7)), [objects.whole(image)], image, [0], 0.3, 0.4)
        np.testing.assert_allclose(one.box, [320, 96, 480, 416])
        assert one.score == pytest.approx(0.7)

    def test_classes_scores_and_doubles(self) -> None:
        image = np.zeros((512, 512, 3), np.uint8)
        outputs = self.outputs((64, 64, 0, 0.7), (65, 65, 0, 0.6), (64, 20, 24, 0.9), (20, 100, 0, 0.2))
        found_objects = objects.decode(outputs, [objects.whole(image)], image, [0], 0.3, 0.4)
        assert [round(each.score, 2) for each in found_objects] == [0.7]

    def test_what_a_tile_cuts_off_is_left_to_others(self) -> None:
        image = np.zeros((1024, 1024, 3), np.uint8)
        tile = objects.tiles(image)[0]
        inner, cut = (64, 64, 0, 0.8), (108, 30, 0, 0.9)
        found_objects = objects.decode(self.outputs(inner, cut), [tile], image, [0], 0.3, 0.4)
        assert [round(each.score, 2) for each in found_objects] == [0.8]

    def test_a_small_picture_has_no_tiles(self) -> None:
        assert objects.tiles(np.zeros((512, 300, 3), np.uint8)) == []


def test_a_key_point_near_its_own_centre_wins() -> None:
    """Two bright spots for the nose: the farther, brighter one is another person's."""
    heat, offset = np.zeros((1, 48, 48, 17), np.float32), np.zeros((1, 48, 48, 34), np.float32)
    heat[0, 20, 24] = 0.6
    heat[0, 20, 46] = 0.9
    offset[0, 20, 24] = 0.5
    centre, regress = np.zeros((1, 48, 48, 1), np.float32), np.zeros((1, 48, 48, 34), np.float32)
    centre[0, 24, 24], centre[0, 24, 46] = 0.5, 0.6
    outputs = {"kpt": heat, "center": centre, "regress": regress, "offset": offset}
    box = np.array([100, 100, 292, 292], np.float32)
    matrix = pose.crop_matrix(box)
    (keypoints,) = pose.decode(outputs, [matrix])
    np.testing.assert_allclose(apply(matrix, keypoints[:1, :2])[0], [24.5 * 4, 20.5 * 4], atol=0.01)
    assert keypoints[0, 2] == pytest.approx(0.6)
