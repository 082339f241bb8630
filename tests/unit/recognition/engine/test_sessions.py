"""Sessions: bound outputs, memory limits, placement of nodes; with a GPU equal outputs on both devices."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from apps.recognition.engine import backends, sessions
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.sessions import Device, OnnxSession, check_placement, placement
from apps.recognition.estimators.registry import available
from apps.recognition.networks.registry import Registry, State
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from tests.unit.recognition.engine.devices import batch, needs_gpu
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import astronaut, encoded, samples


@pytest.mark.parametrize("task", ["face_mesh", "emotion", "face_descriptor"])
def test_bound_outputs_are_the_same(engine: Engine, task: str) -> None:
    manifest = engine.manifest(engine.tasks[task])
    session = OnnxSession(engine.config.networks_dir / manifest.file, Device("cpu"))
    tensor = batch(manifest, 2)
    for bound, plain in zip(session.run_bound(tensor, "cpu", 0), session.run(tensor), strict=True):
        np.testing.assert_array_equal(bound, plain)


@pytest.mark.parametrize("task", ["face_detector", "face_descriptor"])
def test_a_run_on_several_threads_has_the_same_outputs(engine: Engine, task: str) -> None:
    manifest = engine.manifest(engine.tasks[task])
    path, tensor = engine.config.networks_dir / manifest.file, batch(manifest, 1)
    one, two = (OnnxSession(path, Device("cpu"), threads).run(tensor) for threads in (1, 2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(first).max())))


def test_a_run_has_no_more_threads_than_the_usable_processors(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(backends, "usable_processors", lambda: 1)
    monkeypatch.setattr(backends, "OnnxSession", lambda path, device, number: threads.append(number))
    manifest = engine.manifest(engine.tasks["emotion"])
    registry = Registry(engine.config.networks_dir)
    backend = backends.LocalBackend(EngineConfig(registry.directory), registry, {manifest.name: manifest})
    backend.load(manifest)
    backend.close()
    assert threads == [1]


def test_the_placement_names_every_node_and_its_device(engine: Engine) -> None:
    manifest = engine.manifest(engine.tasks["face_mesh"])
    kinds = placement(engine.config.networks_dir / manifest.file, Device("cpu"), batch(manifest, 1))
    assert set(kinds) == {"CPUExecutionProvider"}
    assert any("Conv" in kind for kind in kinds["CPUExecutionProvider"])


def test_a_node_that_is_left_to_the_cpu_stops_the_start() -> None:
    check_placement("mine", {"CUDAExecutionProvider": ["Conv"], "CPUExecutionProvider": ["Shape", "Gather"]})
    with pytest.raises(EngineError, match=r"^Network mine runs Conv, Resize on the CPU although LUNA_DEVICE is CUDA"):
        check_placement("mine", {"CPUExecutionProvider": ["Resize", "Conv", "Shape", "Conv"]})


def test_cuda_is_asked_for_with_its_device_and_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(sessions, "load_cuda_libraries", lambda: None)
    (cuda, options), cpu = Device("cuda:2", 3 * 1024**3).providers()
    assert (cuda, cpu) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["device_id"] == 2
    assert options["gpu_mem_limit"] == 3 * 1024**3
    assert "gpu_mem_limit" not in Device("cuda").providers()[0][1]


def test_a_file_that_is_no_network_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"nonsense")
    with pytest.raises(EngineError, match=r"^Network file .*mine\.onnx cannot be loaded on cpu: .*"):
        OnnxSession(path, Device("cpu"))


@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="there is a GPU")
def test_a_session_that_falls_back_to_the_cpu_stops_the_start(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    path = engine.config.networks_dir / engine.manifest(engine.tasks["emotion"]).file
    with pytest.raises(EngineError, match=r"^LUNA_DEVICE=cuda, but CUDA does not start"):
        OnnxSession(path, Device("cuda"))


@pytest.fixture(scope="module")
def cuda_engine(engine: Engine) -> Iterator[Engine]:
    running = Engine(EngineConfig(engine.config.networks_dir, device="cuda"))
    yield running
    running.close()


@pytest.mark.gpu
@needs_gpu
def test_cuda_computes_what_the_cpu_computes(engine: Engine) -> None:
    registry = Registry(engine.config.networks_dir)
    for name, manifest in registry.manifests.items():
        if registry.state(name) is not State.INSTALLED:
            continue
        path = registry.get(name).path
        cpu, cuda = (OnnxSession(path, Device(device)) for device in ("cpu", "cuda"))
        check_placement(name, placement(path, Device("cuda"), batch(manifest, 1)))
        for rows in manifest.batch_sizes:
            tensor = batch(manifest, rows)
            for output, here, there in zip(cpu.outputs, cpu.run(tensor), cuda.run(tensor), strict=True):
                tolerance = 1e-3 * max(float(np.abs(here).max()), 1e-3)  # an absent face's flag is about 1e-6
                np.testing.assert_allclose(there, here, atol=tolerance, err_msg=f"{name} {output} batch {rows}")


@pytest.mark.gpu
@needs_gpu
def test_the_chain_on_cuda_finds_the_same_faces(engine: Engine, cuda_engine: Engine) -> None:
    plan = Plan(estimators=available(engine.tasks))
    for data in (encoded(astronaut()), *samples()):
        here, there = (Pipeline(each, plan).process(ImageInput(data)).faces for each in (engine, cuda_engine))
        assert len(here) == len(there)
        for ours, theirs in zip(here, there, strict=True):
            assert abs(ours.rect.x - theirs.rect.x) <= 1
            vectors = [told(face, "face_descriptor").vector for face in (ours, theirs)]
            assert float(vectors[0] @ vectors[1]) > 0.9995


@pytest.mark.gpu
@needs_gpu
def test_cuda_memory_stays_flat(cuda_engine: Engine) -> None:
    from subprocess import check_output

    def used_mib() -> int:
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return int(check_output(query).split()[0])

    pipeline = Pipeline(cuda_engine, Plan(estimators=available(cuda_engine.tasks)))
    cuda_engine.warm_up(frozenset(cuda_engine.tasks))
    pictures = [ImageInput(data) for data in samples()]
    for number in range(60):
        pipeline.process(pictures[number % len(pictures)])
    before = used_mib()
    for number in range(200):
        pipeline.process(pictures[number % len(pictures)])
    assert used_mib() <= before * 1.03
