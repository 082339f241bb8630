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
from apps.recognition.aggregation import aggregate
from apps.recognition.api.shapes import estimation_block
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.warps import WARP_TEMPLATE
from apps.recognition.estimators.liveness import Liveness, Prediction
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.packs import network_use
from apps.recognition.networks.registry import Registry
from apps.recognition.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageType, Plan
from tests.unit.recognition.graphs import (
    Graph,
    channel_means,
    colour_scores,
    directory_with_embedded,
    engine_of,
    install,
)
from tests.unit.recognition.pictures import astronaut, encoded

COLOUR = (200, 100, 50)  # R, G, B
R, G, B = (value / 255 for value in COLOUR)
SOFT = dict(zip("RGB", np.exp([R, G, B]) / np.exp([R, G, B]).sum(), strict=True))


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    return directory_with_embedded(tmp_path)


def entry(layout: str = "NCHW", colour: str = "RGB", size: int = 8, **keys: Any) -> dict[str, Any]:
    shape = [3, size, size] if layout == "NCHW" else [size, size, 3]
    return {"shape": shape, "layout": layout, "colour": colour, "std": [255.0], "crop_scale": 0.5, **keys}


def scores(*labels: str, activation: str = "none", name: str = "values") -> dict[str, Any]:
    return {"name": name, "shape": [len(labels)], "labels": list(labels), "activation": activation}


def seen(directory: Path, name: str, pixels: np.ndarray | None = None, **plan: Any) -> Any:
    """What an estimator says of a warp of one colour, with the five points where warps have them."""
    warp = np.full((250, 250, 3), COLOUR, np.uint8) if pixels is None else pixels
    engine = engine_of(directory)
    try:
        pipeline = Pipeline(engine, Plan(estimators=frozenset({name}), **plan))
        points = WARP_TEMPLATE.astype(np.float32)
        result = pipeline.process(ImageInput(encoded(warp), image_type=ImageType.FACE_WARP, landmarks5=points))
    finally:
        engine.close()
    assert result.error is None
    return result.faces[0].estimations[name]


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
    assert estimation_block("mask", found)["face_occlusion"] is None


def test_how_a_mask_is_worn(networks: Path) -> None:
    graph = channel_means()
    graph.node("Neg", "values", output="occlusion")
    graph.output("occlusion", [3])
    outputs = [scores("missing", "medical_mask", "occluded"), scores("mouth", "chin", "full", name="occlusion")]
    install(networks, graph.model(), name="tiny-mask", task="mask", outputs=outputs, entry=entry())
    block = estimation_block("mask", seen(networks, "mask"))
    assert block["predominant_mask"] == "missing"
    assert block["face_occlusion"]["predominant_occlusion"] == "full"
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
    found = seen(networks, "deepfake")
    assert found.score == pytest.approx(first if labels[0] == "real" else 1 - first, abs=0.005)
    word = estimation_block("deepfake", found)["prediction"]
    assert word == labels[0]
    assert replace(found, threshold=0.0).predominant == "real"


def test_face_occlusion(networks: Path) -> None:
    graph = channel_means()
    install(
        networks, graph.model(), name="tiny-parts", task="face_occlusion", outputs=[scores("mouth", "nose", "hair")],
        entry=entry(),
    )  # fmt: skip
    block = estimation_block("face_occlusion", seen(networks, "face_occlusion"))
    assert block["face_occlusion"] == {"mouth_occluded": 1, "nose_occluded": 0, "hair_occluded": 0}
    assert block["estimations"]["overall_score"] == pytest.approx(R, abs=0.005)
    assert block["prediction"] == 1


def test_covered_mouth_and_eyes(networks: Path) -> None:
    """Of a warp that is mostly red, then mostly blue."""
    for colours, covered in (("RGG", {"left_eye"}), ("BRB", {"mouth"}), ("BBB", set())):
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
    output = {"outputs": [scores(*labels, activation="softmax")], "entry": entry()}
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
    found = face.estimations["deepfake"]
    assert found.real > 0.5
    assert (found.looks_fake, found.score) == (looks_fake, 0.0 if looks_fake else found.real)
    assert replace(found, threshold=0.0).predominant == ("fake" if looks_fake else "real")
    assert not seen(networks, "deepfake").looks_fake


def test_ethnicity_joins_the_basic_attributes(networks: Path) -> None:
    assert seen(networks, "basic_attributes").ethnicities is None
    graph = channel_means()
    graph.node("Neg", "values", output="ethnicity")
    graph.output("ethnicity", [3])
    outputs = [{"name": "values", "shape": [3]}, scores("asian", "other", "caucasian", name="ethnicity")]
    install(networks, graph.model(), name="tiny-groups", task="ethnicity", outputs=outputs, entry=entry())
    found = seen(networks, "basic_attributes")
    block = estimation_block("basic_attributes", found)
    assert block["ethnicities"]["predominant_ethnicity"] == "caucasian"
    assert set(block["ethnicities"]["estimations"]) == {"asian", "caucasian"}
    together = aggregate([{"basic_attributes": found}, {"basic_attributes": found}])["basic_attributes"]
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
    assert estimation_block("liveness", found)["prediction"] == "unknown"


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
    points = face.estimations["landmarks68"].points
    box = np.concatenate([points.min(0), points.max(0)])
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * 1.35
    left, top = np.maximum(centre - half, 0).astype(int)
    surroundings = picture[top : int(top + 2 * half[1]), left : int(left + 2 * half[0]), 0].mean() / 255
    assert face.estimations["liveness"].probability == pytest.approx(surroundings, abs=0.06)


def test_the_embedded_liveness_answers(engine: Engine) -> None:
    pipeline = Pipeline(engine, Plan(estimators=frozenset({"liveness"})))
    (face,) = pipeline.process(ImageInput(encoded(astronaut()))).faces
    found = face.estimations["liveness"]
    assert isinstance(found, Liveness)
    assert 0 <= found.probability <= 1
    assert found.quality > 0.8
    together = aggregate([{"liveness": found}, {"liveness": Liveness(0.0, 0.0, found.threshold)}])["liveness"]
    assert together.probability == pytest.approx(found.probability / 2)


TEMPLATE = [[25.0, 30.0], [75.0, 30.0], [50.0, 58.0], [30.0, 87.0], [70.0, 87.0]]


def descriptor(version: int, size: int, **alignment: Any) -> dict[str, Any]:
    return {
        "version": version, "dimension": 3, "raw_encoding": "uint8", "match_cosine": 0.5, "possible_cosine": 0.4,
        "calibration": [[-1.0, 0.0], [0.5, 0.8], [1.0, 1.0]], "calibrated_on": "nothing",
        "alignment": {
            "crop": [size, size], "template": TEMPLATE,
            "mesh_points": [[33, 133], [362, 263], [1], [61], [291]], "mirror_average": False, **alignment,
        },
    }  # fmt: skip


@pytest.mark.parametrize(("layout", "colour", "order"), [("NCHW", "BGR", (B, G, R)), ("NHWC", "RGB", (R, G, B))])
def test_a_face_descriptor_of_another_input(networks: Path, layout: str, colour: str, order: tuple[float, ...]) -> None:
    install(
        networks, channel_means(layout=layout, size=100).model(), name="tiny-face", task="face_descriptor",
        outputs=[{"name": "values", "shape": [3]}], descriptor=descriptor(2001, 100),
        entry={**entry(layout, colour, 100), "mean": [127.5], "std": [127.5], "crop_scale": 1.0},
    )  # fmt: skip
    found = seen(networks, "face_descriptor")
    expected = np.array([value * 2 - 1 for value in order])
    assert found.version == 2001
    np.testing.assert_allclose(found.vector, expected / np.linalg.norm(expected), atol=0.01)


class Spot(Graph):
    """The means of the left half, the right half and the spot of 8×8 px around the nose of an aligned 100×100 crop."""

    def __init__(self) -> None:
        super().__init__([3, 100, 100])
        means = [self.mean(0, 100, 0, 50), self.mean(0, 100, 50, 100), self.mean(54, 62, 46, 54)]
        self.node("Concat", *means, output="values", axis=1)
        self.output("values", [3])

    def mean(self, top: int, bottom: int, left: int, right: int) -> str:
        part = self.node(
            "Slice", "input", self.weight([top, left], np.int64), self.weight([bottom, right], np.int64),
            self.weight([2, 3], np.int64),
        )  # fmt: skip
        return self.reshaped(self.node("ReduceMean", part, axes=[1, 2, 3], keepdims=0), -1, 1)


@pytest.mark.parametrize("mirror", [False, True])
def test_alignment_and_mirror_average_follow_the_manifest(networks: Path, mirror: bool) -> None:
    install(
        networks, Spot().model(), name="tiny-face", task="face_descriptor",
        outputs=[{"name": "values", "shape": [3]}], descriptor=descriptor(2002, 100, mirror_average=mirror),
        entry=entry(size=100, crop_scale=1.0),
    )  # fmt: skip
    warp = np.zeros((250, 250, 3), np.uint8)
    x, y = WARP_TEMPLATE[2].astype(int)
    warp[:, :x] = 60
    warp[y - 15 : y + 16, x - 15 : x + 16] = 255  # the nose is white, the left half grey
    found = seen(networks, "face_descriptor", warp)
    left, right, nose = found.vector / found.vector[2]
    assert found.vector[2] > 0.9
    assert nose == 1
    assert bool(abs(left - right) < 0.02) is mirror


def test_every_installed_version_can_be_asked_for(networks: Path) -> None:
    install(
        networks, channel_means(size=100).model(), name="tiny-face", task="face_descriptor",
        outputs=[{"name": "values", "shape": [3]}], descriptor=descriptor(2003, 100),
        entry=entry(size=100, crop_scale=1.0), use=False,
    )  # fmt: skip
    default = seen(networks, "face_descriptor")
    assert default.version != 2003
    asked = seen(networks, "face_descriptor", descriptor_version=2003)
    assert (asked.version, len(asked.vector)) == (2003, 3)
    assert seen(networks, "face_descriptor", descriptor_version=default.version).version == default.version


@pytest.mark.parametrize("name", ["mask", "deepfake", "face_occlusion", "glasses", "headwear"])
def test_without_a_network_an_estimator_is_unavailable(engine: Engine, name: str) -> None:
    with pytest.raises(LunaError) as caught:
        Pipeline(engine, Plan(estimators=frozenset({name})))
    assert caught.value.code == 200005
    assert name in caught.value.detail


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("mask", ("yes", "no", "missing"), "must be of medical_mask, missing, occluded"),
        ("deepfake", (), "must hold one of real, fake"),
        ("liveness", ("spoof", "real", "other"), "must hold one of live"),
        ("ethnicity", ("other",), "must hold one of african_american"),
    ],
)
def test_labels_that_are_not_the_platforms_are_refused(
    networks: Path, task: str, labels: tuple[str, ...], message: str
) -> None:
    output = {"name": "values", "shape": [len(labels) or 3], "labels": list(labels)}
    with pytest.raises(NetworkError, match=message):
        install(networks, channel_means().model(), name="tiny", task=task, outputs=[output], entry=entry())


def test_companions_must_have_the_same_labels_and_be_there(networks: Path) -> None:
    options = {"task": "liveness", "thresholds": {"live": 0.5}, "use": False}
    first, second = [scores("live", "spoof", "other")], [scores("spoof", "live", "other")]
    install(networks, channel_means().model(), name="second", outputs=second, entry=entry(), **options)
    install(
        networks, channel_means(layout="NHWC").model(), name="first", outputs=first, entry=entry("NHWC"),
        companions=["second"], **options,
    )  # fmt: skip
    with pytest.raises(NetworkError, match="first and its companion second have different `labels`"):
        network_use(Registry(networks), "liveness", "first")


def test_a_missing_companion_stops_the_start(networks: Path) -> None:
    options = {"task": "liveness", "thresholds": {"live": 0.5}, "outputs": [scores("live", "spoof", "other")]}
    install(networks, channel_means().model(), name="second", entry=entry(), use=False, **options)
    install(
        networks, channel_means(layout="NHWC").model(), name="first", entry=entry("NHWC"), companions=["second"],
        **options,
    )  # fmt: skip
    (networks / "second.onnx").unlink()
    with pytest.raises(EngineError, match="network second is not installed"):
        engine_of(networks)


def body_network(directory: Path, **keys: Any) -> None:
    spec = descriptor(2004, 100)
    del spec["alignment"]
    graph = channel_means(size=64)
    install(
        directory, graph.model(), name="tiny-body", task="body_descriptor", descriptor=spec | keys,
        outputs=[{"name": "values", "shape": [3]}], entry=entry(colour="BGR", size=64, crop_scale=1.0),
    )  # fmt: skip


def test_a_body_descriptor_is_made_from_the_body_warp(networks: Path) -> None:
    body_network(networks)
    warp = np.full((250, 128, 3), COLOUR, np.uint8)
    engine = engine_of(networks)
    try:
        plan = Plan(detect_face=False, detect_body=True, estimators=frozenset({"body_descriptor"}))
        result = Pipeline(engine, plan).process(ImageInput(encoded(warp), image_type=ImageType.BODY_WARP))
    finally:
        engine.close()
    (body,) = result.bodies
    found = body.estimations["body_descriptor"]
    assert found.version == 2004
    np.testing.assert_allclose(found.vector, np.array([B, G, R]) / np.linalg.norm([B, G, R]), atol=0.01)


def test_a_body_descriptor_has_no_alignment_of_faces(networks: Path) -> None:
    with pytest.raises(NetworkError, match=r"\[descriptor.alignment\] belongs to face descriptors"):
        body_network(networks, alignment=descriptor(2004, 64)["alignment"])


def test_bodies_have_no_descriptors_without_a_network(engine: Engine) -> None:
    with pytest.raises(LunaError) as caught:
        Pipeline(engine, Plan(detect_body=True, estimators=frozenset({"body_descriptor"})))
    assert caught.value.code == 200005


def test_points_that_a_stored_warp_does_not_know_stop_the_start(networks: Path) -> None:
    spec = descriptor(2005, 100, mesh_points=[[33], [263], [2], [61], [291]])
    install(
        networks, channel_means(size=100).model(), name="tiny-face", task="face_descriptor", descriptor=spec,
        outputs=[{"name": "values", "shape": [3]}], entry=entry(size=100, crop_scale=1.0),
    )  # fmt: skip
    with pytest.raises(EngineError, match="tiny-face must be aligned to a square crop by the five landmarks"):
        engine_of(networks)
