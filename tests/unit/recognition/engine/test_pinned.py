"""Page-locked memory: one growing buffer per thread, freed after its last use; without a GPU with a fake runtime."""

import ctypes
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from apps.recognition.engine import backends
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.pinned import SMALLEST_BYTES, PinnedBuffers, cuda_runtime
from apps.recognition.engine.sessions import Device, OnnxSession, Tensor
from tests.unit.recognition.engine.devices import batch, needs_gpu


class Runtime:
    """Acts like libcudart with ordinary memory. `fails`: the call that answers with an error."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.devices: list[int] = []
        self.sizes: list[int] = []
        self.memory: dict[int, ctypes.Array[ctypes.c_char]] = {}

    def cudaSetDevice(self, index: int) -> int:
        self.devices.append(index)
        return 100 if self.fails == "device" else 0

    def cudaHostAlloc(self, pointer: object, size: int, flags: int) -> int:
        if self.fails == "memory":
            return 2
        memory = ctypes.create_string_buffer(b"\xff" * size, size)
        pointer._obj.value = address = ctypes.addressof(memory)  # type: ignore[attr-defined]
        self.memory[address] = memory
        self.sizes.append(size)
        return 0

    def cudaFreeHost(self, address: ctypes.c_void_p) -> int:
        del self.memory[address.value or 0]
        return 0

    def cudaGetErrorString(self, code: int) -> bytes:
        return {2: b"out of memory", 100: b"no CUDA-capable device is detected"}[code]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    return Device("cuda:1")


def test_a_thread_keeps_its_buffer_until_it_needs_a_larger_one(device: Device) -> None:
    runtime = Runtime()
    buffers = PinnedBuffers(device, runtime)
    assert runtime.sizes == [SMALLEST_BYTES]
    assert not runtime.memory, "what the start tried was not given back"
    assert set(runtime.devices) == {1}

    first = buffers.empty((2, 3), np.dtype(np.float32))
    assert (first.shape, first.dtype) == ((2, 3), np.float32)
    first[:] = 1
    again = buffers.empty((4,), np.dtype(np.uint8))
    assert again.ctypes.data == first.ctypes.data
    large = buffers.empty((SMALLEST_BYTES,), np.dtype(np.float32))
    large[:] = 5
    assert runtime.sizes[1:] == [SMALLEST_BYTES, SMALLEST_BYTES * 4]
    assert large.ctypes.data in runtime.memory
    np.testing.assert_array_equal(first, 1)  # not freed while an array uses it
    assert len(runtime.memory) == 2
    del first, again
    gc.collect()
    assert list(runtime.memory) == [large.ctypes.data]
    del large, buffers
    gc.collect()
    assert not runtime.memory


def test_threads_do_not_share_a_buffer(device: Device) -> None:
    buffers = PinnedBuffers(device, Runtime())
    mine = buffers.empty((3,), np.dtype(np.float32))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(buffers.empty, (3,), np.dtype(np.float32)).result()
    assert other.ctypes.data != mine.ctypes.data


@pytest.mark.parametrize(
    ("fails", "why"), [("device", "no CUDA-capable device is detected"), ("memory", "out of memory")]
)
def test_a_device_without_such_memory_stops_the_start(device: Device, fails: str, why: str) -> None:
    with pytest.raises(
        EngineError, match=rf"^LUNA_DEVICE=cuda:1, but CUDA cannot allocate page-locked memory \({why}\)"
    ):
        PinnedBuffers(device, Runtime(fails))


def test_a_runtime_library_that_is_not_there_stops_the_start(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "cuda_version", "99.1")
    with pytest.raises(
        EngineError, match=r"but libcudart\.so\.99 of CUDA is not installed: install requirements-gpu\.txt"
    ):
        cuda_runtime(device)


def test_a_cuda_engine_hands_every_batch_over_in_such_a_buffer(
    engine: Engine, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the device: sessions run on the CPU, and the buffers are those of the runtime that acts."""
    runtime, fed, warmed = Runtime(), [], []
    name = engine.tasks["emotion"]
    manifest = engine.manifest(name)
    sizes = manifest.batch_sizes
    tensor = batch(manifest, sizes[-1] + 1)
    ours = engine.run(name, tensor, engine.deadline())

    class Session(OnnxSession):
        def __init__(self, path: Path, device: Device, threads: int = 1) -> None:
            super().__init__(path, Device("cpu"))

        def run(self, tensor: Tensor) -> list[Tensor]:
            fed.append((len(tensor), tensor.ctypes.data in runtime.memory))
            warmed.append((threading.current_thread().name, len(tensor)))
            return super().run(tensor)

    monkeypatch.setattr(backends, "cuda_runtime", lambda device: runtime)
    monkeypatch.setattr(backends, "OnnxSession", Session)
    monkeypatch.setattr(backends, "placement", lambda path, device, tensor: {"CUDAExecutionProvider": ["Conv"]})
    running = Engine(EngineConfig(engine.config.networks_dir, device=device.name))
    running.warm_up(frozenset({"emotion"}))
    assert sorted(warmed) == [(f"luna-engine-{worker}", size) for worker in (0, 1) for size in sizes]
    fed.clear()
    theirs = running.run(name, tensor, running.deadline())
    running.close()
    np.testing.assert_allclose(theirs["emotion"], ours["emotion"], atol=1e-5)
    assert sorted(fed) == [(sizes[0], True), (sizes[-1], True)]
    assert set(runtime.devices) == {1}


@pytest.mark.gpu
@needs_gpu
def test_cuda_reads_the_buffers_without_a_copy_of_its_own(engine: Engine) -> None:
    device = Device("cuda")
    runtime = cuda_runtime(device)
    manifest = engine.manifest(engine.tasks["face_descriptor"])
    tensor = batch(manifest, manifest.batch_sizes[-1])
    pinned = PinnedBuffers(device, runtime).empty(tensor.shape, tensor.dtype)
    pinned[:] = tensor
    flags = ctypes.c_uint()
    assert runtime.cudaHostGetFlags(ctypes.byref(flags), ctypes.c_void_p(pinned.ctypes.data)) == 0
    session = OnnxSession(Path(engine.config.networks_dir) / manifest.file, device)
    for here, there in zip(session.run(tensor), session.run(pinned), strict=True):
        np.testing.assert_array_equal(here, there)
