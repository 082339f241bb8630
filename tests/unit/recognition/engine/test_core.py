"""The engine with real networks: devices, joined runs, status."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError


def no_gpu() -> bool:
    """Is there no CUDA device? Asked of the driver's own files: onnxruntime answers only by trying."""
    return not any(Path("/dev").glob("nvidia[0-9]*"))


@pytest.mark.skipif(not no_gpu(), reason="there is a GPU")
def test_cuda_that_is_absent_stops_the_start(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"LUNA_DEVICE=cuda.*CUDA"):
        Engine(replace(engine.config, device="cuda"))


def test_cuda_without_its_provider_stops_the_start(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EngineError, match=r"requirements-gpu\.txt"):
        Engine(replace(engine.config, device="cuda:1"))


def test_an_unknown_device_stops_the_start(engine: Engine) -> None:
    with pytest.raises(EngineError, match="'tpu'"):
        Engine(replace(engine.config, device="tpu"))


def test_missing_networks_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="networks build"):
        Engine(EngineConfig(tmp_path))


def test_a_damaged_network_stops_the_start(engine: Engine, tmp_path: Path) -> None:
    for path in engine.config.networks_dir.glob("*.onnx"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "facemesh.onnx").unlink()
    (tmp_path / "facemesh.onnx").write_bytes(b"nonsense")
    with pytest.raises(EngineError, match=r"facemesh\.onnx"):
        Engine(EngineConfig(tmp_path))


@pytest.mark.parametrize("task", ["face_detector", "face_mesh", "face_descriptor", "age_sex", "iris", "emotion"])
def test_runs_from_many_threads_equal_single_runs(engine: Engine, task: str) -> None:
    manifest = engine.manifest(engine.tasks[task])
    height, width = manifest.input.height or 128, manifest.input.width or 256
    crops = np.random.default_rng(7).integers(0, 256, (8, height, width, 3), np.uint8)
    tensor = manifest.input.tensor(crops)
    alone = [engine.run(manifest.name, tensor[index : index + 1], engine.deadline()) for index in range(len(tensor))]
    with ThreadPoolExecutor(8) as pool:
        parts = [tensor[index : index + 2] for index in range(0, 8, 2)] * 4
        joined = list(pool.map(lambda part: engine.run(manifest.name, part, engine.deadline()), parts))
    for index, outputs in enumerate(joined):
        for row in (0, 1):
            expected = alone[(index % 4) * 2 + row]
            for name, values in outputs.items():
                np.testing.assert_array_equal(values[row], expected[name][0])


def test_status_tells_what_is_loaded(engine: Engine) -> None:
    engine.warm_up(frozenset({"emotion"}))
    status: Any = engine.status()
    assert status["device"] == "cpu"
    assert "emotion" in status["loaded"]
    assert status["queue_rows"] == 0
    assert status["networks"]["face_descriptor"] == engine.tasks["face_descriptor"]
