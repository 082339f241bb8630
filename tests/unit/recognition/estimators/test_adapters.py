"""Users' networks by manifest alone: what goes into each and what its numbers become.

The networks are built here and give back the mean of each channel that they see; the face is of one colour. So layout,
colour order, normalisation, activation and the labels' order are all told by the answer.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.common.errors import LunaError
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError
from apps.recognition.estimators.liveness import Liveness, Prediction
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.packs import network_use
from apps.recognition.networks.registry import Registry
from apps.recognition.request.aggregation import aggregate
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.shapes import estimation_block
from apps.recognition.types import ImageInput, Plan
from tests.unit.recognition.estimators.one_colour import B, G, R, entry, seen
from tests.unit.recognition.graphs import (
    channel_means,
    colour_scores,
    engine_of,
    install,
)
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import astronaut, encoded

SOFT = dict(zip("RGB", np.exp([R, G, B]) / np.exp([R, G, B]).sum(), strict=True))


def block_of(name: str, value: object) -> Any:
    """The JSON of an estimation."""
    return estimation_block(name, value)


def scores(*labels: str, activation: str = "none", name: str = "values") -> dict[str, Any]:
    return {"name": name, "shape": [len(labels)], "labels": list(labels), "activation": activation}


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("colour", "expected"), [("RGB", (R, G, B)), ("BGR", (B, G, R))])
def test_mask(networks: Path, layout: str, colour: str, expected: tuple[float, ...]) -> None:
    labels = ("occluded", "medical_mask", "missing")
    install(
        networks, channel_means(layout=layout).model(), name="tiny-mask", task="mask", outputs=[scores(*labels)],
        entry=entry(layout, colour),
    )  # fmt: skip
    found = seen(networks, "mask")
    assert [found.scores[label] for label in labels] == pytest.approx(expected, abs=0.005)
    assert found.predominant == labels[int(np.argmax(expected))]
    assert block_of("mask", found)["face_occlusion"] is None


def test_how_a_mask_is_worn(networks: Path) -> None:
    graph = channel_means()
    graph.node("Neg", "values", output="occlusion")
    graph.output("occlusion", [3])
    outputs = [scores("missing", "medical_mask", "occluded"), scores("mouth", "chin", "full", name="occlusion")]
    install(networks, graph.model(), name="tiny-mask", task="mask", outputs=outputs, entry=entry())
    block = block_of("mask", seen(networks, "mask"))
    assert block["predominant_mask"] == "missing"
    assert block["face_occlusion"]["predominant_occlusion"] == "chin"  # `full` belongs to another mask
    assert block["face_occlusion"]["estimations"]["chin"] == pytest.approx(-G, abs=0.005)


@pytest.mark.parametrize("labels", [("real", "fake"), ("fake", "real"), ("fake",), ("real",)])
def test_deepfake(networks: Path, labels: tuple[str, ...]) -> None:
    graph = channel_means()
    graph.outputs.clear()
    bounds = [graph.weight([value], np.int64) for value in (0, len(labels), 1)]
    graph.node("Slice", "values", *bounds, output="scores")
    graph.output("scores", [len(labels)])
    activation = "sigmoid" if len(labels) == 1 else "softmax"
    outputs = [scores(*labels, activation=activation, name="scores")]
    install(networks, graph.model(), name="tiny-fake", task="deepfake", outputs=outputs, entry=entry())
    first = 1 / (1 + np.exp(-R)) if len(labels) == 1 else 1 / (1 + np.exp(G - R))
    found = seen(networks, "deepfake", is_warp=False)
    assert found.score == pytest.approx(first if labels[0] == "real" else 1 - first, abs=0.005)
    word = block_of("deepfake", found)["prediction"]
    assert word == labels[0]
    assert replace(found, threshold=0.0).predominant == "real"


def test_face_occlusion(networks: Path) -> None:
    graph = channel_means()
    install(
        networks, graph.model(), name="tiny-parts", task="face_occlusion", outputs=[scores("mouth", "nose", "hair")],
        entry=entry(),
    )  # fmt: skip
    block = block_of("face_occlusion", seen(networks, "face_occlusion"))
    assert block["face_occlusion"] == {"mouth_occluded": 1, "nose_occluded": 0, "hair_occluded": 0}
    assert block["estimations"]["overall_score"] == pytest.approx(R, abs=0.005)
    assert block["prediction"] == 1


@pytest.mark.parametrize(("colours", "covered"), [("RGG", {"left_eye"}), ("BRB", {"mouth"}), ("BBB", set())])
def test_covered_mouth_and_eyes(networks: Path, colours: str, covered: set[str]) -> None:
    """Of a warp that is mostly red, then mostly blue."""
    labels = ("left_eye", "mouth", "right_eye")
    output = scores(*labels, activation="softmax")
    name = f"tiny-{colours.lower()}"
    model = colour_scores(*colours).model()
    install(networks, model, name=name, task="face_occlusion", outputs=[output], entry=entry())
    eyes = seen(networks, "eyes_attributes")
    assert (eyes.left_eye.state == "occluded", eyes.right_eye.state == "occluded") == ("left_eye" in covered, False)
    mouth = seen(networks, "mouth_attributes").occluded
    assert 0 <= mouth <= 1
    assert (mouth > 0.5) is ("mouth" in covered)


def test_without_a_network_nothing_is_said_to_be_covered(networks: Path) -> None:
    assert seen(networks, "mouth_attributes").occluded is None
    assert seen(networks, "eyes_attributes").left_eye.state != "occluded"


@pytest.mark.parametrize(("labels", "looks_fake"), [(("real", "fake"), False), (("fake", "real"), True)])
def test_the_first_look_for_deepfakes(networks: Path, labels: tuple[str, ...], looks_fake: bool) -> None:
    """It sees the picture; a warp has none."""
    output: dict[str, Any] = {"outputs": [scores(*labels, activation="softmax")], "entry": entry()}
    install(networks, colour_scores("R", "B").model(), name="tiny-look", task="deepfake_preliminary", **output)
    certain = [scores("real", "fake", activation="softmax")]
    install(
        networks, colour_scores("R", "G").model(), name="tiny-fake", task="deepfake", outputs=certain, entry=entry()
    )  # fmt: skip
    engine = engine_of(networks)
    try:
        pipeline = Pipeline(engine, Plan(estimators=frozenset({"deepfake"})))
        (face,) = pipeline.process(ImageInput(encoded(astronaut()))).faces
    finally:
        engine.close()
    found: Any = told(face, "deepfake")
    assert found.real > 0.5
    assert (found.looks_fake, found.score) == (looks_fake, 0.0 if looks_fake else found.real)
    assert replace(found, threshold=0.0).predominant == ("fake" if looks_fake else "real")
    assert seen(networks, "deepfake") is None  # a warp


def test_ethnicity_joins_the_basic_attributes(networks: Path) -> None:
    assert seen(networks, "basic_attributes").ethnicities is None
    graph = channel_means()
    graph.node("Neg", "values", output="ethnicity")
    graph.output("ethnicity", [3])
    outputs = [{"name": "values", "shape": [3]}, scores("asian", "other", "caucasian", name="ethnicity")]
    install(networks, graph.model(), name="tiny-groups", task="ethnicity", outputs=outputs, entry=entry())
    found = seen(networks, "basic_attributes")
    block = block_of("basic_attributes", found)
    assert block["ethnicities"]["predominant_ethnicity"] == "caucasian"
    assert set(block["ethnicities"]["estimations"]) == {"asian", "caucasian"}
    together: Any = aggregate([{"basic_attributes": found}, {"basic_attributes": found}])["basic_attributes"]
    assert together.ethnicities.scores["asian"] == pytest.approx(-R, abs=0.005)


def test_liveness_is_the_mean_of_companions_each_with_its_own_crop(networks: Path) -> None:
    outputs = [scores("live", "spoof", "other", activation="softmax")]
    install(
        networks, channel_means(layout="NHWC").model(), name="tiny-second", task="liveness", outputs=outputs,
        entry=entry("NHWC", crop="picture", crop_scale=4.0), thresholds={"live": 0.4}, use=False,
    )  # fmt: skip
    graph = channel_means(batch=1)
    graph.node("Mul", "input", graph.weight(0.0))
    install(
        networks, graph.model(), name="tiny-first", task="liveness", outputs=outputs, batch_sizes=[1],
        entry=entry(colour="BGR", crop="picture", crop_scale=2.7), companions=["tiny-second"],
        thresholds={"live": 0.4},
    )  # fmt: skip
    found = seen(networks, "liveness")
    assert found.probability == pytest.approx((SOFT["R"] + SOFT["B"]) / 2, abs=0.002)
    assert found.threshold == 0.4
    assert replace(found, quality_threshold=0.0).predominant is Prediction.SPOOF
    assert replace(found, threshold=0.3, quality_threshold=0.0).predominant is Prediction.REAL
    assert found.predominant is Prediction.UNKNOWN  # a surface of one colour is no good picture of a face
    assert block_of("liveness", found)["prediction"] == "unknown"


def test_liveness_sees_the_surroundings_in_the_picture(networks: Path) -> None:
    """A crop 2.7 times the face, cut from the picture: its mean colour is that of the surroundings."""
    outputs = [scores("live", "spoof", "other")]
    install(
        networks, channel_means(size=80).model(), name="tiny-live", task="liveness", outputs=outputs,
        entry=entry(size=80, crop="picture", crop_scale=2.7), thresholds={"live": 0.5},
    )  # fmt: skip
    picture = astronaut()
    engine = engine_of(networks)
    try:
        plan = Plan(estimators=frozenset({"liveness", "landmarks68"}))
        (face,) = Pipeline(engine, plan).process(ImageInput(encoded(picture))).faces
    finally:
        engine.close()
    points = told(face, "landmarks68").points
    box = np.concatenate([points.min(0), points.max(0)])
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * 1.35
    left, top = np.maximum(centre - half, 0).astype(int)
    surroundings = picture[top : int(top + 2 * half[1]), left : int(left + 2 * half[0]), 0].mean() / 255
    assert told(face, "liveness").probability == pytest.approx(surroundings, abs=0.06)


def test_the_embedded_liveness_answers(engine: Engine) -> None:
    pipeline = Pipeline(engine, Plan(estimators=frozenset({"liveness"})))
    (face,) = pipeline.process(ImageInput(encoded(astronaut()))).faces
    found = told(face, "liveness")
    assert isinstance(found, Liveness)
    assert 0 <= found.probability <= 1
    assert found.quality > 0.8
    together: Any = aggregate([{"liveness": found}, {"liveness": Liveness(0.0, 0.0, found.threshold)}])["liveness"]
    assert together.probability == pytest.approx(found.probability / 2)


@pytest.mark.parametrize("name", ["mask", "deepfake", "face_occlusion", "glasses", "headwear"])
def test_without_a_network_an_estimator_is_unavailable(engine: Engine, name: str) -> None:
    with pytest.raises(LunaError) as caught:
        Pipeline(engine, Plan(estimators=frozenset({name})))
    assert caught.value.code == 200005
    assert name in caught.value.detail


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("mask", ("yes", "no", "missing"), "must be one of medical_mask, missing, occluded"),
        ("deepfake", (), "must include one of real, fake"),
        ("liveness", ("spoof", "real", "other"), "must include one of live"),
        ("ethnicity", ("other",), "must include one of african_american"),
    ],
)
def test_labels_that_are_not_the_platforms_are_refused(
    networks: Path, task: str, labels: tuple[str, ...], message: str
) -> None:
    output = {"name": "values", "shape": [len(labels) or 3], "labels": list(labels)}
    with pytest.raises(NetworkError, match=message):
        install(networks, channel_means().model(), name="tiny", task=task, outputs=[output], entry=entry())


def test_companions_must_know_the_same_labels(networks: Path) -> None:
    options: dict[str, Any] = {"task": "liveness", "thresholds": {"live": 0.5}, "use": False}
    first, second = [scores("live", "spoof", "other")], [scores("live", "print", "other")]
    install(networks, channel_means().model(), name="second", outputs=second, entry=entry(), **options)
    install(
        networks, channel_means(layout="NHWC").model(), name="first", outputs=first, entry=entry("NHWC"),
        companions=["second"], **options,
    )  # fmt: skip
    with pytest.raises(NetworkError, match="first has `labels` that its companion second lacks: spoof"):
        network_use(Registry(networks), "liveness", "first")


def test_a_missing_companion_stops_the_start(networks: Path) -> None:
    options: dict[str, Any] = {
        "task": "liveness",
        "thresholds": {"live": 0.5},
        "outputs": [scores("live", "spoof", "other")],
    }
    install(networks, channel_means().model(), name="second", entry=entry(), use=False, **options)
    install(
        networks, channel_means(layout="NHWC").model(), name="first", entry=entry("NHWC"), companions=["second"],
        **options,
    )  # fmt: skip
    (networks / "second.onnx").unlink()
    with pytest.raises(EngineError, match="network second is not installed"):
        engine_of(networks)
