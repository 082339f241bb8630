"""Liveness, deepfake, mask, glasses and ethnicity in handlers: blocks, columns of events, thresholds and states.

What has no embedded network is answered by tiny ones that say the same of every face.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.common.config import Directories, config
from apps.events.models import Event
from apps.faces.models import FaceAttribute
from apps.recognition.config import DeepfakeEstimator, LivenessEstimator
from apps.recognition.run import facade
from tests.api.handlers.helpers import JPEG, astronaut, make_handler
from tests.unit.recognition.checks.pictures import recoloured
from tests.unit.recognition.graphs import Graph, colour_scores, directory_with_embedded, install
from tests.unit.recognition.pictures import encoded

pytestmark = pytest.mark.django_db
ENTRY = {"shape": [3, 8, 8], "layout": "NCHW", "colour": "RGB", "std": [255.0], "crop_scale": 1.0}
SAYS = {
    "liveness": {"live": 0.6, "spoof": 0.4},
    "deepfake": {"real": 0.7, "fake": 0.3},
    "mask": {"missing": 0.1, "medical_mask": 0.8, "occluded": 0.1},
    "glasses": {"no_glasses": 0.2, "eyeglasses": 0.7, "sunglasses": 0.1},
    "ethnicity": {"asian": 0.1, "caucasian": 0.9},
}


def saying(values: dict[str, float]) -> Graph:
    graph = Graph([3, 8, 8])
    mean = graph.node("ReduceMean", "input", axes=[1, 2, 3], keepdims=1)
    nothing = graph.reshaped(graph.node("Mul", mean, graph.weight(0.0)), -1, 1)
    graph.node("Add", nothing, graph.weight([list(values.values())], np.float32), output="values")
    graph.output("values", [len(values)])
    return graph


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = directory_with_embedded(tmp_path_factory.mktemp("networks"))
    for task, values in SAYS.items():
        output = {"name": "values", "shape": [len(values)], "labels": list(values)}
        thresholds: dict[str, Any] = {"thresholds": {"live": 0.5}} if task == "liveness" else {}
        install(
            directory, saying(values).model(), name=f"tiny-{task}", task=task, outputs=[output], entry=ENTRY,
            **thresholds,
        )  # fmt: skip
    output = {"name": "values", "shape": [2], "labels": ["real", "fake"], "activation": "softmax"}
    first_look = colour_scores("R", "B").model()  # blue faces are fake
    install(
        directory, first_look, name="tiny-first-look", task="deepfake_preliminary", outputs=[output], entry=ENTRY,
        thresholds={"real": 0.6},
    )  # fmt: skip
    return directory


@pytest.fixture(autouse=True)
def networks(directory: Path, configure: Callable[..., None]) -> Iterator[None]:
    assert directory != config(Directories).networks
    configure(Directories, networks=directory)
    facade.shut_down()
    yield
    facade.shut_down()


def generate(client: Client, policies: Any, query: str = "", data: Any = None) -> Any:
    path = make_handler(client, policies)
    address = f"{path}/events{query}"
    answer = client.post(address, data) if data else client.post(address, astronaut(), JPEG)
    assert answer.status_code == 201, answer.json()
    return answer.json()


EVERYTHING = {
    "detect_policy": {
        "estimate_mask": 1, "estimate_glasses": 1, "estimate_emotions": 1,
        "estimate_liveness": {"estimate": 1}, "estimate_deepfake": {"estimate": 1},
    },
    "extract_policy": {"extract_basic_attributes": 1},
    "storage_policy": {"face_policy": {"store_face": 1}},
}  # fmt: skip


def test_blocks_and_columns(client: Client) -> None:
    (event,) = generate(client, EVERYTHING)["events"]
    attributes = event["detections"][0]["samples"]["face"]["detection"]["attributes"]
    assert attributes["mask"]["predominant_mask"] == "medical_mask"
    assert attributes["mask"]["estimations"] == pytest.approx(SAYS["mask"])
    assert attributes["glasses"] is None  # nothing is said of the glasses of a masked face
    assert attributes["liveness"]["prediction"] == "real"
    assert attributes["liveness"]["estimations"]["probability"] == pytest.approx(0.6)
    assert attributes["deepfake"] == {"prediction": "real", "score": pytest.approx(0.7)}
    groups = event["face_attributes"]["basic_attributes"]["ethnicities"]
    assert groups["predominant_ethnicity"] == "caucasian"
    assert groups["estimations"] == pytest.approx(SAYS["ethnicity"])
    row = Event.objects.unscoped().get()
    assert (row.mask, row.liveness, row.deepfake, row.ethnic_group, row.emotion) == (2, 1, 1, 4, 4)
    assert FaceAttribute.objects.get().ethnicity == 4
    found = client.get("/6/events?masks=2&liveness=1&deepfake=1&ethnic_groups=4").json()["events"]
    assert [each["event_id"] for each in found] == [event["event_id"]]
    assert client.get("/6/events?liveness=0").json()["events"] == []


def test_together(client: Client) -> None:
    files = {"image": [SimpleUploadedFile(name, astronaut(), JPEG) for name in "ab"]}
    (event,) = generate(client, EVERYTHING, "?aggregate_attributes=1", files)["events"]
    attributes = event["aggregate_estimations"]["face"]["attributes"]
    assert set(attributes) == {"emotions", "mask", "liveness", "deepfake"}
    assert (attributes["liveness"]["prediction"], attributes["deepfake"]["prediction"]) == ("real", "real")


@pytest.mark.parametrize(
    ("policy", "column", "prediction"),
    [
        ({"estimate_liveness": {"estimate": 1, "liveness_threshold": 0.65}}, "liveness", "spoof"),
        ({"estimate_liveness": {"estimate": 1, "quality_threshold": 1}}, "liveness", "unknown"),
        ({"estimate_liveness": {"estimate": 1, "quality_threshold": 0}}, "liveness", "real"),
        ({"estimate_deepfake": {"estimate": 1, "real_threshold": 0.75}}, "deepfake", "fake"),
    ],
)
def test_thresholds_decide(client: Client, policy: Any, column: str, prediction: str) -> None:
    (event,) = generate(client, {"detect_policy": policy})["events"]
    attributes = event["detections"][0]["samples"]["face"]["detection"]["attributes"]
    assert attributes[column]["prediction"] == prediction
    numbers = {"spoof": 0, "real": 1, "unknown": 2, "fake": 0}
    assert getattr(Event.objects.unscoped().get(), column) == numbers[prediction]


@pytest.mark.parametrize(
    ("mode", "prediction", "score"), [({}, "fake", 0.0), ({"mode": 2}, "fake", 0.0), ({"mode": 1}, "real", 0.7)]
)
def test_deepfake_mode_2_looks_at_the_picture_first(client: Client, mode: Any, prediction: str, score: float) -> None:
    """The tiny network for the first look takes a blue face for a fake."""
    blue = encoded(recoloured(lambda values: values * [0.4, 0.6, 1.4]))
    for picture, expected in ((blue, (prediction, score)), (astronaut(), ("real", 0.7))):
        path = make_handler(client, {"detect_policy": {"estimate_deepfake": {"estimate": 1, **mode}}})
        (event,) = client.post(f"{path}/events", picture, "image/png").json()["events"]
        found = event["detections"][0]["samples"]["face"]["detection"]["attributes"]["deepfake"]
        assert (found["prediction"], found["score"]) == (expected[0], pytest.approx(expected[1]))
        assert client.get(event["url"]).json()["deepfake"] == int(expected[0] == "real")


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"mask_states": [1, 3]}, ("mask_states", 2, [1, 3])),
        ({"liveness_states": [0, 2]}, ("liveness_states", 1, [0, 2])),
        ({"estimate_liveness": {"liveness_states": [1], "liveness_threshold": 0.9}}, ("liveness_states", 0, [1])),
        ({"estimate_deepfake": {"deepfake_states": [0]}}, ("deepfake_states", 1, [0])),
    ],
)
def test_states_stop_faces_and_say_why(client: Client, policy: Any, reason: tuple[Any, ...]) -> None:
    body = generate(client, {"detect_policy": policy})
    assert body["events"] == []
    (rejected,) = body["filtered_detections"]["face_detections"]
    assert [tuple(each.values()) for each in rejected["filter_reasons"]] == [reason]
    assert rejected["detection"]["sample"]["detection"]["attributes"] == {}
    assert Event.objects.unscoped().count() == 0


def test_states_that_hold(client: Client) -> None:
    policy = {"mask_states": [2], "liveness_states": [1], "estimate_deepfake": {"deepfake_states": [1]}}
    body = generate(client, {"detect_policy": policy})
    assert (len(body["events"]), body["filtered_detections"]["face_detections"]) == (1, [])


def test_the_installations_thresholds_hold_where_a_policy_says_nothing(
    client: Client, configure: Callable[..., None]
) -> None:
    configure(LivenessEstimator, estimator_settings={"real_threshold": 0.9})
    configure(DeepfakeEstimator, estimator_settings={"real_threshold": 0.9})
    generate(client, EVERYTHING)
    row = Event.objects.unscoped().get()
    assert (row.liveness, row.deepfake) == (0, 0)


def test_filters_and_tags(client: Client) -> None:
    tags = [{"tag": tag, "filters": {name: [value]}} for tag, name, value in (
        ("masked", "masks", 2), ("alive", "liveness", 1), ("made", "deepfake", 0))]  # fmt: skip
    (event,) = generate(client, {**EVERYTHING, "conditional_tags_policy": tags})["events"]
    assert event["tags"] == ["masked", "alive"]


def test_the_detector_shows_liveness(client: Client) -> None:
    (image,) = client.post("/6/detector?estimate_liveness=1&estimate_mask=1", astronaut(), JPEG).json()["images"]
    attributes = image["detections"]["samples"][0]["face"]["detection"]["attributes"]
    assert (attributes["liveness"]["prediction"], attributes["mask"]["predominant_mask"]) == ("real", "medical_mask")


@pytest.mark.parametrize(
    "policy",
    [
        {"liveness_states": [1], "estimate_liveness": {"liveness_states": [0]}},
        {"liveness_states": []},
        {"mask_states": [0]},
        {"estimate_deepfake": {"deepfake_states": [2]}},
        {"estimate_deepfake": {"mode": 3}},
        {"estimate_liveness": {"liveness_threshold": 1.5}},
        {"estimate_liveness": 1},
        {"face_quality": {"filter": 1}},
    ],
)
def test_contradictions_and_nonsense(client: Client, policy: Any) -> None:
    answer = client.post("/6/handlers", {"policies": {"detect_policy": policy}}, "application/json")
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12027)
