"""Settings of checks, thresholds and the recognition engine."""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apps.common.config import GROUPS, config
from apps.handlers.policies.face_quality import FaceQualityPolicy
from apps.recognition.checks.table import CHECKS, SETTING_NAMES, Evidence
from apps.recognition.checks.thresholds import Between, Flag, OneOf, Value
from apps.recognition.config import FaceQuality, Switches
from apps.recognition.estimators.deepfake import Deepfake
from apps.recognition.estimators.face_color_type import COLOR, GREY_BELOW, FaceColorType
from apps.recognition.estimators.liveness import Liveness
from apps.recognition.estimators.natural_light import NaturalLight
from apps.recognition.estimators.radial_distortion import DISTORTED_FROM, RadialDistortion
from apps.recognition.estimators.red_eyes import RED_SHARE, RedEyes
from apps.recognition.request.thresholds import PredictionThresholds, judged
from apps.recognition.run import facade
from apps.recognition.switches import SWITCHES
from apps.recognition.types import Face, ImageResult, Rect
from tests.unit.live.conftest import Store
from tests.unit.live.table import live

CHECKED = [name for name in FaceQuality.model_fields if not name.endswith("_min")]


def accepts(check: str, value: Value) -> bool:
    return FaceQualityPolicy(estimate=True).thresholds[check].accepts(value)


@pytest.mark.parametrize("name", CHECKED)
@live(*(f"FACE_QUALITY_SETTINGS.{name}" for name in CHECKED))
def test_thresholds_of_checks(store: Store, name: str) -> None:
    """Each setting changes what its checks accept."""
    found = [check for check in CHECKS if SETTING_NAMES.get(check, check) == name]
    assert found
    threshold = FaceQualityPolicy(estimate=True).thresholds[found[0]]
    value: Any
    changed: Any
    if isinstance(threshold, Between):
        value, changed = threshold.low, {"min": (threshold.low or 0) + 0.01, "max": threshold.high}
    elif isinstance(threshold, OneOf):
        value = threshold.accepted[0]
        changed = [word for word in threshold.words if word != value]
    else:
        assert isinstance(threshold, Flag)
        value, changed = threshold.wanted, 1 - threshold.wanted
    assert all(accepts(check, value) for check in found)
    store("FACE_QUALITY_SETTINGS", **{name: changed})
    assert not any(accepts(check, value) for check in found)


def face(**estimations: object) -> Face:
    return replace(
        Face(
            rect=Rect(0, 0, 10, 10),
            score=1.0,
            landmarks5=np.zeros((5, 2), np.float32),
            warp=np.empty((0, 0, 3), np.uint8),
            warp_landmarks5=np.zeros((5, 2), np.float32),
        ),
        estimations=MappingProxyType(estimations),
    )


PRESENT = {
    "natural_light": ("natural_light_min", NaturalLight(score=0.6)),
    "radial_distortion": ("fish_eye_min", RadialDistortion(1.2 * DISTORTED_FROM)),
    "red_eyes": ("red_eye_min", RedEyes(1.2 * RED_SHARE)),
    "face_color_type": ("color_type_min", FaceColorType(COLOR, 1.2 * GREY_BELOW)),
}


@pytest.mark.parametrize("check", PRESENT)
@live(*(f"FACE_QUALITY_SETTINGS.{name}" for name, _ in PRESENT.values()))
def test_scores_of_checks(store: Store, check: str) -> None:
    name, estimation = PRESENT[check]
    evidence = Evidence(SimpleNamespace(), ImageResult("a.jpg"), face(**{check: estimation}))  # type: ignore[arg-type]
    before = CHECKS[check].measure(evidence)
    store("FACE_QUALITY_SETTINGS", **{name: 0.7})
    assert CHECKS[check].measure(evidence) != before


def predictions() -> dict[str, str]:
    seen = face(
        liveness=Liveness(probability=0.6, quality=0.6, threshold=0.5), deepfake=Deepfake(real=0.6, threshold=0.5)
    )
    thresholds = PredictionThresholds().over(facade.prediction_thresholds())
    found: Any = judged(ImageResult("a.jpg", faces=(seen,)), thresholds).faces[0].estimations
    return {name: str(found[name].predominant) for name in found}


@live(
    "LUNA_REMOTE_SDK_LIVENESS_ESTIMATOR_SETTINGS.estimator_settings.real_threshold",
    "LUNA_REMOTE_SDK_LIVENESS_ESTIMATOR_SETTINGS.estimator_settings.quality_threshold",
    "LUNA_REMOTE_SDK_DEEPFAKE_ESTIMATOR_SETTINGS.estimator_settings.real_threshold",
)
def test_predictions(store: Store) -> None:
    assert predictions() == {"liveness": "real", "deepfake": "real"}
    store("LUNA_REMOTE_SDK_LIVENESS_ESTIMATOR_SETTINGS", estimator_settings={"real_threshold": 0.9})
    store("LUNA_REMOTE_SDK_DEEPFAKE_ESTIMATOR_SETTINGS", estimator_settings={"real_threshold": 0.9})
    assert predictions() == {"liveness": "spoof", "deepfake": "fake"}
    store("LUNA_REMOTE_SDK_LIVENESS_ESTIMATOR_SETTINGS", estimator_settings={"quality_threshold": 0.9})
    assert predictions()["liveness"] == "unknown"


class Engine:
    """An engine that loads no networks."""

    def __init__(self, engine_config: Any) -> None:
        self.config = engine_config

    def close(self) -> None:
        """It has no threads."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process has a running engine."""
    facade.shut_down()
    monkeypatch.setattr(facade, "Engine", Engine)
    monkeypatch.setattr(facade, "_warm", lambda running: None)
    monkeypatch.setattr(facade._engine, "_close", lambda closed: None)
    facade.engine()
    yield
    facade.shut_down()


RUNTIME, FACES = "LUNA_REMOTE_SDK_RUNTIME_SETTINGS", "LUNA_REMOTE_SDK_FACE_DETECTOR_SETTINGS"
BODIES, TASKS = "LUNA_REMOTE_SDK_BODY_DETECTOR_SETTINGS", "LUNA_TASKS_RECOGNITION"
OF_ENGINE: dict[str, tuple[str, Any, dict[str, Any]]] = {
    f"{RUNTIME}.global_device_class": ("device", "cuda:1", {}),
    f"{RUNTIME}.num_threads": ("threads", 3, {}),
    f"{RUNTIME}.run_threads": ("run_threads", 5, {}),
    f"{RUNTIME}.gpu_memory_bytes": ("gpu_memory_bytes", 10**9, {"global_device_class": "cuda"}),
    f"{RUNTIME}.inference_url": ("inference_url", "http://networks.example", {}),
    f"{RUNTIME}.use_auto_rotation": ("auto_rotation", False, {}),
    f"{FACES}.estimator_settings.min_face_size": ("min_face_px", 50, {}),
    f"{FACES}.estimator_settings.score_threshold": ("face_score", 0.7, {}),
    f"{FACES}.estimator_settings.tiles": ("face_tiles", 0, {}),
    f"{BODIES}.estimator_settings.score_threshold": ("body_score", 0.7, {}),
    f"{TASKS}.num_threads": ("threads", 7, {}),
    f"{TASKS}.niceness": ("niceness", 5, {}),
    "LUNA_IMAGES.max_bytes": ("max_image_bytes", 1000, {}),
    "LUNA_IMAGES.max_pixels": ("max_image_pixels", 1000, {}),
}


@pytest.mark.parametrize("name", OF_ENGINE)
@live(*OF_ENGINE)
def test_the_engine_is_replaced(store: Store, engine: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    group, *sections, last = name.split(".")
    field, value, others = OF_ENGINE[name]
    monkeypatch.setattr(facade, "in_background", lambda: group == TASKS)
    former: Any = facade.engine()
    assert getattr(former.config, field) != value
    change = {last: value, **others}
    for section in reversed(sections):
        change = {section: change}
    store(group, **change)
    assert facade.engine() is not former
    assert getattr(facade.engine().config, field) == value


ESTIMATORS = "LUNA_REMOTE_SDK_ESTIMATORS"
FIELDS = [each.path[0] for each in GROUPS[Switches].variables if each.path[0] != "all_by_default"]


@live(*(f"{ESTIMATORS}.{name}" for name in ("all_by_default", *FIELDS)))
def test_switches(store: Store, engine: None) -> None:
    assert facade.engine().config.off == frozenset()
    names = {name for switch in SWITCHES.values() for name in switch}
    store(ESTIMATORS, all_by_default=False)
    assert facade.engine().config.off == names
    assert config(Switches).all() == dict.fromkeys(SWITCHES, False)
    for number, switch in enumerate(SWITCHES):
        store(ESTIMATORS, **{switch.replace("-", "_"): False})
        assert facade.engine().config.off == frozenset(SWITCHES[switch]), number
