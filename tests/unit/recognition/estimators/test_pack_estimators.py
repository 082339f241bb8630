"""The rules that join the networks of the pack `recommended`, on networks that these tests build.

Every network answers what the test wants, whatever it sees; only that of eyes looks at colours.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.recognition.estimators.liveness import Prediction
from apps.recognition.networks.errors import NetworkError
from apps.recognition.request.aggregation import aggregate
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from tests.unit.recognition.estimators.one_colour import entry, seen
from tests.unit.recognition.graphs import Graph, colour_scores, engine_of, install
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import astronaut, encoded

POINTS = ("right_eye", "left_eye", "nose", "mouth", "mouth")
POINT_VALUES = ["x", "y", "visible", "hidden"]


def constant(values: Any) -> Graph:
    """A network that answers `values` of every picture."""
    answer = np.asarray(values, np.float32)
    graph = Graph([3, 8, 8])
    zero = graph.node("Mul", graph.node("ReduceMean", "input", axes=[1, 2, 3], keepdims=0), graph.weight(0.0))
    rows = graph.reshaped(zero, -1, *[1] * answer.ndim)
    graph.node("Add", rows, graph.weight(answer), output="values")
    graph.output("values", list(answer.shape))
    return graph


def hidden(networks: Path, *parts: str) -> None:
    """A network of five points that finds these parts hidden."""
    rows = [[0, 0, 0, 9] if part in parts else [0, 0, 9, 0] for part in POINTS]
    output = {"name": "values", "shape": [5, 4], "labels": POINT_VALUES}
    name = f"tiny-parts-{'-'.join(parts) or 'none'}".replace("_", "-")
    install(
        networks, constant(rows).model(), name=name, task="face_occlusion", outputs=[output],
        entry=entry(crop="face"), head="five_points",
    )  # fmt: skip


def mask(networks: Path, score: float) -> None:
    output = {"name": "values", "shape": [2], "labels": ["medical_mask", "missing"]}
    install(
        networks, constant([score, 1 - score]).model(), name=f"tiny-mask-{score}".replace(".", "-"), task="mask",
        outputs=[output], entry=entry(crop="face_box"), thresholds={"medical_mask": 0.9, "mouth_hidden": 0.5},
    )  # fmt: skip


def glasses(networks: Path, logit: float) -> None:
    output = {"name": "values", "shape": [1], "labels": ["no_glasses"], "activation": "sigmoid"}
    install(
        networks, constant([logit]).model(), name=f"tiny-glasses-{logit}".replace(".", "-"), task="glasses",
        outputs=[output], entry=entry(crop="eye_band"), thresholds={"no_glasses": 0.1192},
    )  # fmt: skip


def test_hidden_points_become_parts_of_the_persons_sides(networks: Path) -> None:
    hidden(networks, "right_eye", "mouth")
    found = seen(networks, "face_occlusion")
    assert found.occluded == {"mouth": True, "nose": False, "left_eye": False, "right_eye": True}
    eyes = seen(networks, "eyes_attributes")
    assert (eyes.right_eye.state, eyes.left_eye.state == "occluded") == ("occluded", False)
    assert seen(networks, "mouth_attributes").occluded > 0.99


def test_a_network_of_points_must_say_so_in_its_manifest(networks: Path) -> None:
    output = {"name": "values", "shape": [4], "labels": POINT_VALUES}
    with pytest.raises(NetworkError, match="head five_points must have the output"):
        install(
            networks, constant([0, 0, 0, 9]).model(), name="tiny", task="face_occlusion", outputs=[output],
            entry=entry(), head="five_points",
        )  # fmt: skip


def test_each_eye_has_its_state(networks: Path) -> None:
    """The picture's left half is red, which the network calls closed; its right half is green, open."""
    output = {"name": "values", "shape": [2], "labels": ["closed", "open"], "activation": "softmax"}
    model = colour_scores("R", "G").model()
    install(networks, model, name="tiny-eyes", task="eye_state", outputs=[output], entry=entry(crop="eyes"))
    pixels = np.zeros((250, 250, 3), np.uint8)
    pixels[:, :125, 0], pixels[:, 125:, 1] = 220, 220
    found = seen(networks, "eyes_attributes", pixels)
    assert (found.right_eye.state, found.left_eye.state) == ("closed", "open")


def test_where_the_network_sees_no_eye_the_lids_decide(networks: Path) -> None:
    before = seen(networks, "eyes_attributes")
    output = {"name": "values", "shape": [3], "labels": ["closed", "open", "unknown"]}
    model = constant([0.02, 0.01, 0.97]).model()
    install(networks, model, name="tiny-eyes", task="eye_state", outputs=[output], entry=entry(crop="eyes"))
    found = seen(networks, "eyes_attributes")
    assert (found.left_eye.state, found.right_eye.state) == (before.left_eye.state, before.right_eye.state)


@pytest.mark.parametrize(
    ("score", "parts", "expected", "worn"),
    [
        (0.95, (), "medical_mask", "mouth"),
        (0.95, ("mouth", "nose"), "medical_mask", "correct"),
        (0.7, (), "missing", "clear"),
        (0.7, ("mouth",), "medical_mask", "mouth"),
        (0.1, ("mouth",), "missing", "clear"),
        (0.1, ("mouth", "nose"), "occluded", "partially"),
        (0.1, ("mouth", "nose", "left_eye", "right_eye"), "occluded", "full"),
    ],
)
def test_masks_and_how_they_are_worn(
    networks: Path, score: float, parts: tuple[str, ...], expected: str, worn: str
) -> None:
    mask(networks, score)
    hidden(networks, *parts)
    found = seen(networks, "mask")
    assert (found.predominant, found.predominant_occlusion) == (expected, worn)
    assert sum(found.scores.values()) == pytest.approx(1)


def test_without_the_network_of_hidden_parts_the_higher_threshold_holds(networks: Path) -> None:
    mask(networks, 0.7)
    found = seen(networks, "mask")
    assert (found.predominant, found.occlusion) == ("missing", None)


@pytest.mark.parametrize(
    ("logit", "parts", "expected"),
    [
        (-1.9, (), "no_glasses"),
        (-2.1, (), "eyeglasses"),
        (-2.1, ("left_eye",), "eyeglasses"),
        (-2.1, ("left_eye", "right_eye"), "sunglasses"),
        (3.0, ("left_eye", "right_eye"), "no_glasses"),
    ],
)
def test_sunglasses_are_glasses_that_hide_both_eyes(
    networks: Path, logit: float, parts: tuple[str, ...], expected: str
) -> None:
    glasses(networks, logit)
    hidden(networks, *parts)
    assert seen(networks, "glasses").predominant == expected


def test_nothing_is_said_of_the_glasses_of_a_masked_face(networks: Path) -> None:
    glasses(networks, -5.0)
    mask(networks, 0.2)
    assert seen(networks, "glasses").predominant == "eyeglasses"
    mask(networks, 0.99)
    assert seen(networks, "glasses") is None


def liveness(networks: Path, score: float, *, crop: str = "warp", advisory: bool = False) -> None:
    output = {"name": "values", "shape": [2], "labels": ["live", "spoof"]}
    install(
        networks, constant([score, 1 - score]).model(), name="tiny-live", task="liveness", outputs=[output],
        entry=entry(crop=crop, crop_scale=1.5), thresholds={"live": 0.5}, advisory=advisory,
    )  # fmt: skip


def in_picture(networks: Path, pixels: np.ndarray) -> Any:
    engine = engine_of(networks)
    try:
        result = Pipeline(engine, Plan(estimators=frozenset({"liveness"}))).process(ImageInput(encoded(pixels)))
    finally:
        engine.close()
    return result.faces[0].estimations["liveness"]


@pytest.mark.parametrize(
    ("score", "advisory", "expected"),
    [(0.9, False, Prediction.REAL), (0.9, True, Prediction.UNKNOWN), (0.1, True, Prediction.SPOOF)],
)
def test_an_advisory_network_calls_nobody_real(
    networks: Path, score: float, advisory: bool, expected: Prediction
) -> None:
    liveness(networks, score, advisory=advisory)
    assert in_picture(networks, astronaut()).predominant is expected


@pytest.mark.parametrize("score", [0.1, 0.9])
def test_the_liveness_of_a_grey_face_is_unknown(networks: Path, score: float) -> None:
    liveness(networks, score)
    grey = np.repeat(astronaut().mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert in_picture(networks, grey).predominant is Prediction.UNKNOWN
    assert in_picture(networks, astronaut()).predominant is not Prediction.UNKNOWN


def test_the_liveness_of_a_face_whose_surroundings_are_cut_off_is_unknown(networks: Path) -> None:
    liveness(networks, 0.1, crop="face")
    whole = astronaut()
    assert in_picture(networks, whole).predominant is Prediction.SPOOF
    cut = in_picture(networks, whole[40:, 140:])  # to the left of the face nothing is left
    assert cut.predominant is Prediction.UNKNOWN
    whole_told = in_picture(networks, whole)
    together: Any = aggregate([{"liveness": cut}, {"liveness": whole_told}])["liveness"]
    assert together.predominant is Prediction.SPOOF  # by the picture that tells something


@pytest.mark.parametrize("cut", [(80, 190), (110, 170), (60, 230)])
def test_a_face_cut_by_the_border_has_its_estimations(networks: Path, cut: tuple[int, int]) -> None:
    """The crops of all networks reach outside of the picture, whose edge is repeated there."""
    hidden(networks)
    mask(networks, 0.95)
    glasses(networks, -5.0)
    liveness(networks, 0.9, crop="face")
    top, left = cut
    names = frozenset({"mask", "glasses", "face_occlusion", "eyes_attributes", "liveness", "basic_attributes"})
    engine = engine_of(networks)
    try:
        result = Pipeline(engine, Plan(estimators=names)).process(ImageInput(encoded(astronaut()[top:, left:])))
    finally:
        engine.close()
    assert result.error is None
    for face in result.faces:
        assert told(face, "mask").predominant == "medical_mask"
        assert told(face, "liveness").predominant is Prediction.UNKNOWN
