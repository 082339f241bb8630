"""Estimations of bodies: colours by name, drawn figures whose clothes are known, and photographs."""

from types import MappingProxyType
from typing import Any, cast

import cv2
import numpy as np
import pytest

from apps.recognition.engine.core import Engine
from apps.recognition.estimators import accessories, colours, lower_body, upper_body
from apps.recognition.estimators.accessories import Accessories
from apps.recognition.estimators.base import BodySubject, Networks, Scene
from apps.recognition.estimators.body_basic_attributes import BodyBasicAttributes
from apps.recognition.estimators.lower_body import LowerBody
from apps.recognition.estimators.people_count import ESTIMATOR as PEOPLE_COUNT
from apps.recognition.estimators.upper_body import UpperBody
from apps.recognition.request.aggregation import aggregate
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageResult, ImageType, Plan
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import as_pixels, astronaut, encoded, one_turned_away, samples

Colour = tuple[int, int, int]
NO_NETWORKS = cast(Networks, None)
SKIN, WHITE, BLACK, BLUE, RED = (205, 150, 125), (245, 245, 245), (15, 15, 15), (40, 60, 170), (200, 20, 30)
WALL = (90, 140, 100)
NAMES = ("body_basic_attributes", "upper_body", "lower_body", "accessories")

NAMED = {
    "black": [(0, 0, 0), (20, 20, 24)],
    "white": [(255, 255, 255), (235, 238, 240)],
    "grey": [(128, 128, 128), (70, 70, 72)],
    "red": [(255, 0, 0), (128, 0, 0), (178, 34, 34)],
    "pink": [(255, 192, 203), (255, 105, 180), (255, 20, 147)],
    "orange": [(255, 165, 0), (255, 140, 0), (255, 127, 80), (255, 79, 0)],
    "yellow": [(255, 255, 0), (255, 215, 0)],
    "green": [(0, 128, 0), (0, 255, 0), (34, 139, 34)],
    "blue": [(0, 0, 255), (0, 0, 128), (135, 206, 235), (60, 80, 120)],
    "purple": [(128, 0, 128), (75, 0, 130)],
    "brown": [(139, 69, 19), (101, 67, 33)],
    "beige": [(245, 245, 220), (210, 180, 140)],
    "khaki": [(189, 183, 107), (120, 110, 75)],
}


@pytest.mark.parametrize(("name", "colour"), [(name, colour) for name, each in NAMED.items() for colour in each])
def test_colours_have_their_names(name: str, colour: Colour) -> None:
    assert colours.named(np.tile(np.array([colour], np.uint8), (100, 1))) == (name,)


class TestRegions:
    def test_the_commonest_comes_first_and_small_ones_are_left_out(self) -> None:
        pixels = np.repeat(np.array([RED, BLACK, WHITE], np.uint8), [60, 30, 10], axis=0)
        assert colours.named(pixels) == ("red", "black")

    def test_many_colours(self) -> None:
        many = [each[0] for each in NAMED.values()]
        assert colours.named(np.repeat(np.array(many, np.uint8), 20, axis=0)) == (colours.MULTICOLOURED,)

    def test_too_few_pixels(self) -> None:
        few = np.zeros((colours.LEAST_PIXELS - 1, 3), np.uint8)
        assert (colours.named(few), colours.plain(few)) == ((colours.UNKNOWN,), colours.UNKNOWN)

    @pytest.mark.parametrize(("colour", "name"), [(WHITE, "white"), (BLACK, "black"), (RED, "other")])
    def test_shoes(self, colour: Colour, name: str) -> None:
        assert colours.plain(np.tile(np.array([colour], np.uint8), (100, 1))) == name


def figure(
    *,
    top: Colour = RED,
    forearms: Colour = SKIN,
    legs: str = "trousers",
    bottom: Colour = BLUE,
    shoes: Colour = BLACK,
    unseen: tuple[int, ...] = (),
) -> BodySubject:
    """Return a drawn person of 400×800 with spread arms and legs, and the pose. `legs`: trousers, shorts, skirt."""
    image = np.full((800, 400, 3), WALL, np.uint8)
    points = {
        0: (200, 80), 1: (212, 70), 2: (188, 70), 3: (225, 75), 4: (175, 75), 5: (250, 160), 6: (150, 160),
        7: (320, 250), 8: (80, 250), 9: (360, 340), 10: (40, 340), 11: (230, 400), 12: (170, 400),
        13: (262, 550), 14: (138, 550), 15: (280, 700), 16: (120, 700),
    }  # fmt: skip

    def line(start: int, end: int, colour: Colour, width: int, share: float = 1.0) -> None:
        first, last = np.array(points[start]), np.array(points[end])
        stop = np.rint(first + (last - first) * share).astype(int)
        cv2.line(image, points[start], (int(stop[0]), int(stop[1])), colour, width)

    cv2.ellipse(image, (200, 80), (35, 45), 0, 0, 360, SKIN, -1)
    for shoulder, elbow, wrist in ((5, 7, 9), (6, 8, 10)):
        line(elbow, wrist, forearms, 34)
        line(shoulder, elbow, top, 40)
    for hip, knee, ankle in ((11, 13, 15), (12, 14, 16)):
        line(knee, ankle, bottom if legs == "trousers" else SKIN, 46)
        line(hip, knee, bottom if legs == "trousers" else SKIN, 56)
        if legs == "shorts":
            line(hip, knee, bottom, 60, 0.7)
        x, y = points[ankle]
        cv2.rectangle(image, (x - 30, y + 8), (x + 30, y + 50), shoes, -1)
    if legs == "skirt":
        cv2.fillConvexPoly(image, np.array([[140, 390], [260, 390], [300, 520], [100, 520]]), bottom)
    cv2.fillConvexPoly(image, np.array([[140, 150], [260, 150], [245, 400], [155, 400]]), top)
    keypoints = np.array([[*points[index], 0.1 if index in unseen else 0.8] for index in range(17)], np.float32)
    box = np.array([20, 30, 380, 760], np.float32)
    return BodySubject(image=image, box=box, score=0.9, keypoints=keypoints, warp=np.zeros((250, 128, 3), np.uint8))


def upper(body: BodySubject) -> UpperBody:
    (result,) = upper_body.ESTIMATOR.estimate([body], NO_NETWORKS)
    return result


def lower(body: BodySubject) -> LowerBody:
    (result,) = lower_body.ESTIMATOR.estimate([body], NO_NETWORKS)
    return result


class TestUpperBody:
    def test_bare_forearms_are_short_sleeves(self) -> None:
        assert (upper(figure()).colours, upper(figure()).sleeve) == (("red",), "short")

    def test_covered_forearms_are_long_sleeves(self) -> None:
        assert upper(figure(forearms=RED)).sleeve == "long"

    @pytest.mark.parametrize("hidden", [(0, 1, 2), (5, 6)])
    def test_without_face_or_shoulders_sleeves_are_unknown(self, hidden: tuple[int, ...]) -> None:
        assert upper(figure(unseen=hidden)).sleeve == "unknown"

    def test_clothes_of_the_skins_colour_tell_nothing(self) -> None:
        assert upper(figure(top=SKIN)).sleeve == "unknown"

    def test_upper_arms_tell_only_when_they_are_bare(self) -> None:
        assert upper(figure(unseen=(9, 10))).sleeve == "unknown"

    def test_without_shoulders_the_colours_are_unknown(self) -> None:
        assert upper(figure(unseen=(5,))).colours == ("unknown",)

    def test_without_hips_what_lies_below_the_shoulders_counts(self) -> None:
        assert upper(figure(top=BLACK, unseen=(11, 12))).colours[0] == "black"


class TestLowerBody:
    @pytest.mark.parametrize("legs", ["trousers", "shorts", "skirt"])
    def test_garments(self, legs: str) -> None:
        result = lower(figure(legs=legs))
        assert (result.garment, result.colours[0], result.shoes) == (legs, "blue", "black")

    @pytest.mark.parametrize(("shoes", "name"), [(WHITE, "white"), (RED, "other"), (SKIN, "unknown")])
    def test_shoes(self, shoes: Colour, name: str) -> None:
        assert lower(figure(shoes=shoes)).shoes == name

    @pytest.mark.parametrize("hidden", [(11, 12), (13,)])
    def test_nothing_is_said_without_hips_or_knees(self, hidden: tuple[int, ...]) -> None:
        assert lower(figure(unseen=hidden)) == LowerBody("unknown", ("unknown",), "unknown")

    def test_nothing_is_said_of_one_who_sits(self) -> None:
        body = figure()
        body.keypoints[[13, 14], :2] = [[340, 420], [60, 420]]
        assert lower(body) == LowerBody("unknown", ("unknown",), "unknown")

    def test_without_a_face_the_garment_is_unknown_but_not_its_colour(self) -> None:
        result = lower(figure(unseen=(0, 1, 2)))
        assert (result.garment, result.colours[0]) == ("unknown", "blue")

    @pytest.mark.parametrize(("height_px", "garment"), [(480, "unknown"), (600, "unknown"), (701, "shorts")])
    def test_what_the_pictures_edge_cuts_off_is_not_told(self, height_px: int, garment: str) -> None:
        """It cuts the thighs, the shins, the feet."""
        body = figure(legs="shorts")
        body.image = body.image[:height_px]
        assert (lower(body).garment, lower(body).shoes) == (garment, "unknown")

    @pytest.mark.parametrize("legs", ["trousers", "shorts", "skirt"])
    def test_nobody_is_too_small_to_be_looked_at(self, legs: str) -> None:
        body = figure(legs=legs)
        body.image = as_pixels(cv2.resize(body.image, None, fx=0.06, fy=0.06, interpolation=cv2.INTER_AREA))
        body.keypoints[:, :2] *= 0.06
        assert lower(body).garment == "unknown"

    def test_boots_of_another_colour_are_no_trousers(self) -> None:
        body = figure(legs="shorts")
        for start, end in (((262, 550), (280, 700)), ((138, 550), (120, 700))):
            cv2.line(body.image, start, end, BLACK, 46)
        assert lower(body).garment == "unknown"


class TestAccessories:
    """Tests with given heat maps, without the network."""

    def state(self, score: float, *, column: int = 64, unseen: tuple[int, ...] = ()) -> Accessories:
        heat = np.zeros((1, 128, 128, 80), np.float32)
        heat[0, 64, column, 24] = score
        outputs = {"heat": heat, "peak": heat.copy(), "wh": np.full((1, 128, 128, 4), 50, np.float32)}

        class Given:
            name = "given"

            def threshold(self, name: str) -> float:
                return {"person": 0.3, "nms_iou": 0.4}[name]

            def for_task(self, task: str) -> Any:
                return self

            def run(self, network: str, crops: np.ndarray) -> dict[str, np.ndarray]:
                assert crops.shape == (1, 512, 512, 3)
                return outputs

        (result,) = accessories.ESTIMATOR.estimate([figure(unseen=unseen)], cast(Networks, Given()))
        return result

    def test_a_backpack_on_the_body(self) -> None:
        assert self.state(0.6).backpack_state == "yes"

    def test_one_beside_the_body_is_not_worn(self) -> None:
        assert self.state(0.9, column=8).backpack_state == "no"

    def test_a_weak_one_is_none(self) -> None:
        assert self.state(0.2).backpack_state == "no"

    def test_without_shoulders_it_is_unknown(self) -> None:
        assert self.state(0.0, unseen=(5,)).backpack_state == "unknown"


class TestPhotographs:
    def of(self, engine: Engine, data: bytes, names: tuple[str, ...] = NAMES, **options: Any) -> ImageResult:
        plan = Plan(detect_body=True, estimators=frozenset(names), **options)
        return Pipeline(engine, plan).process(ImageInput(data))

    def test_the_astronaut(self, engine: Engine) -> None:
        (body,) = self.of(engine, encoded(astronaut())).bodies
        assert set(body.estimations) == set(NAMES)
        upper, backpack = body.estimations["upper_body"], body.estimations["accessories"]
        assert isinstance(upper, UpperBody)
        assert upper.colours[0] == "orange"
        assert isinstance(backpack, Accessories)
        assert backpack.backpack_state == "no"

    def test_age_and_sex_are_those_of_the_face(self, engine: Engine) -> None:
        names = ("basic_attributes", "body_basic_attributes")
        result = self.of(engine, encoded(astronaut()), names)
        face, body = told(result.faces[0], "basic_attributes"), result.bodies[0]
        assert body.estimations["body_basic_attributes"] == BodyBasicAttributes(face.age, face.male)
        alone = self.of(engine, encoded(astronaut()), names, detect_face=False)
        assert alone.faces == ()
        assert alone.bodies[0].estimations == {"body_basic_attributes": BodyBasicAttributes(face.age, face.male)}

    def test_who_turns_away_has_no_sex(self, engine: Engine) -> None:
        result = self.of(engine, one_turned_away(), ("body_basic_attributes",))
        (away,) = (body for body in result.bodies if body.face_index is None)
        said = away.estimations["body_basic_attributes"]
        assert said == BodyBasicAttributes(None, None)
        assert said.gender == "unknown"

    def test_clothes_of_the_last_photograph(self, engine: Engine) -> None:
        """From left to right: green dress, dark red dress, striped dress, green top."""
        result = self.of(engine, samples()[5], ("upper_body",))
        people = sorted(result.bodies, key=lambda body: body.rect.x)
        named = [cast(UpperBody, body.estimations["upper_body"]) for body in people]
        assert [named[index].colours[0] for index in (0, 1, 3)] == ["green", "red", "green"]
        assert [named[index].sleeve for index in (0, 3)] == ["short", "short"]

    def test_a_warp_is_dressed_as_its_photograph(self, engine: Engine) -> None:
        result = self.of(engine, samples()[5], ("upper_body",))
        for body in result.bodies[:2]:
            plan = Plan(detect_body=True, estimators=frozenset({"upper_body"}))
            warp = ImageInput(encoded(body.warp), image_type=ImageType.BODY_WARP)
            (again,) = Pipeline(engine, plan).process(warp).bodies
            assert told(again, "upper_body").colours[0] == told(body, "upper_body").colours[0]

    def test_body_estimations_need_bodies(self, engine: Engine) -> None:
        plan = Plan(estimators=frozenset({"upper_body"}))
        result = Pipeline(engine, plan).process(ImageInput(encoded(astronaut())))
        assert (result.bodies, result.faces[0].estimations) == ((), MappingProxyType({}))


def test_people_count_is_of_the_picture_whatever_is_selected(engine: Engine) -> None:
    plan = Plan(estimators=frozenset({PEOPLE_COUNT.name}), score_threshold=1.0)
    result = Pipeline(engine, plan).process(ImageInput(samples()[5]))
    assert (result.faces, told(result, "people_count").count) == ((), 4)


def test_a_head_that_nobody_sees_is_below_the_top_of_its_body() -> None:
    hidden, shown = figure(unseen=(0, 1, 2, 3, 4)), figure()
    (x, y), (head_x, head_y) = (
        PEOPLE_COUNT.estimate(Scene(body.image, (), (body,))).coordinates[0] for body in (hidden, shown)
    )
    assert (abs(x - head_x) < 20, abs(y - head_y) < 60) == (True, True)


class TestTogether:
    def test_means_and_the_commonest(self) -> None:
        first = {
            "upper_body": UpperBody(("red", "black"), 0.9),
            "lower_body": LowerBody("trousers", ("blue",), "unknown"),
            "body_basic_attributes": BodyBasicAttributes(30, 0.2),
            "accessories": Accessories(0.5, 0.3, True),
        }
        second = {
            "upper_body": UpperBody(("red",), None),
            "lower_body": LowerBody("unknown", ("unknown",), "white"),
            "body_basic_attributes": BodyBasicAttributes(40, 0.4),
            "accessories": Accessories(0.0, 0.3, False),
        }
        together = aggregate([first, second])
        assert together["upper_body"] == UpperBody(("red", "black"), 0.9)
        assert together["lower_body"] == LowerBody("trousers", ("blue",), "white")
        mean = together["body_basic_attributes"]
        assert isinstance(mean, BodyBasicAttributes)
        assert (mean.age, mean.male) == (35, pytest.approx(0.3))
        assert together["accessories"] == Accessories(0.5, 0.3, True)

    def test_what_nobody_knows_stays_unknown(self) -> None:
        nothing = {"upper_body": UpperBody(("unknown",), None), "body_basic_attributes": BodyBasicAttributes()}
        together = aggregate([nothing, nothing])
        assert together == nothing
        assert aggregate([{}]) == {}
