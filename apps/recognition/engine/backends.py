"""Where networks run: in this process, behind its queue, or on an inference server."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from apps.recognition.engine.batching import Batcher
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.open_inference import connect
from apps.recognition.engine.pinned import PinnedBuffers, cuda_runtime
from apps.recognition.engine.sessions import (
    Device,
    OnnxSession,
    Tensor,
    check_placement,
    default_threads,
    placement,
)
from apps.recognition.networks.registry import Registry
from apps.recognition.networks.specs import Manifest

Shape = tuple[int, int]

REMOTE_CONNECTIONS = 32


class Backend(Protocol):
    """`name`: of the device or the server; `threads`: networks that run at the same time."""

    name: str
    threads: int

    @property
    def waiting_rows(self) -> int:
        """Inputs that wait for a network."""

    @property
    def loaded(self) -> list[str]:
        """Names of the networks that are ready to run."""

    def load(self, manifest: Manifest) -> None:
        """Makes a network ready; harmless when it is. Raises EngineError where it cannot be."""

    def warm_up(self, manifest: Manifest, shapes: Sequence[Shape]) -> None:
        """Loads a network and runs it once with every height and width that it will see."""

    def run(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """The outputs of a network for all rows of `tensor`, in the manifest's order."""

    def close(self) -> None:
        """Ends it; waiting requests fail."""


class LocalBackend:
    """ONNX Runtime in this process. Raises EngineError when the device is absent."""

    def __init__(self, config: EngineConfig, registry: Registry, networks: Mapping[str, Manifest]) -> None:
        self._device = Device(config.device, config.gpu_memory_bytes)
        self._registry = registry
        self._networks = networks
        self.name = self._device.name
        self.threads = config.threads or default_threads(self._device)
        self._sessions: dict[str, OnnxSession] = {}
        self._loading = threading.Lock()
        sizes = {name: self._batch_sizes(manifest) for name, manifest in networks.items()}
        pinned = PinnedBuffers(self._device, cuda_runtime(self._device)) if self._device.is_cuda else None
        self._batcher = Batcher(
            self._run,
            sizes,
            workers=self.threads,
            queue_rows=config.queue_rows,
            empty=pinned.empty if pinned else None,
        )

    @property
    def waiting_rows(self) -> int:
        """Of the queue."""
        return self._batcher.waiting_rows

    @property
    def loaded(self) -> list[str]:
        """Names of the networks in memory."""
        return sorted(self._sessions)

    def load(self, manifest: Manifest) -> None:
        """Reads the file; on CUDA it also makes sure that nothing of the network is left to the CPU."""
        if manifest.name in self._sessions:
            return
        with self._loading:
            if manifest.name not in self._sessions:
                path = self._registry.get(manifest.name).path
                session = OnnxSession(path, self._device)
                if self._device.is_cuda:
                    check_placement(manifest.name, placement(path, self._device, zeros(manifest, 1)))
                self._sessions[manifest.name] = session

    def warm_up(self, manifest: Manifest, shapes: Sequence[Shape]) -> None:
        """In every batch size, so that no request pays for it; on CUDA in every worker, for each has streams."""
        self.load(manifest)
        for shape in shapes:
            for rows in self._batch_sizes(manifest):
                run = partial(self._sessions[manifest.name].run, zeros(manifest, rows, shape))
                if self._device.is_cuda:
                    self._batcher.everywhere(run)
                else:
                    run()

    def run(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """Raises as Batcher.run does."""
        self.load(manifest)
        return self._batcher.run(manifest.name, tensor, deadline)

    def close(self) -> None:
        """Joins the workers."""
        self._batcher.close()

    def _batch_sizes(self, manifest: Manifest) -> tuple[int, ...]:
        """On a CPU the smallest declared size alone (batching.py says why), else all of them."""
        return manifest.batch_sizes if self._device.is_cuda else manifest.batch_sizes[:1]

    def _run(self, network: str, tensor: Tensor) -> list[Tensor]:
        return with_batch_axis(self._networks[network], self._sessions[network].run(tensor))


class RemoteBackend:
    """An inference server. Raises EngineError where it does not answer."""

    def __init__(self, config: EngineConfig) -> None:
        self.name = config.inference_url
        self.threads = config.threads or REMOTE_CONNECTIONS
        self._server = connect(config.inference_url, connections=self.threads)
        self._ready: set[str] = set()

    @property
    def waiting_rows(self) -> int:
        """None: what waits, waits at the server."""
        return 0

    @property
    def loaded(self) -> list[str]:
        """Names of the models that the server was found to have."""
        return sorted(self._ready)

    def load(self, manifest: Manifest) -> None:
        """Asks the server whether it has the model."""
        if manifest.name not in self._ready:
            self._server.check_ready(manifest.name)
            self._ready.add(manifest.name)

    def warm_up(self, manifest: Manifest, shapes: Iterable[Shape]) -> None:
        """Warming is the server's own business."""
        self.load(manifest)

    def run(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """In as few calls as the manifest's largest batch allows. Raises as InferenceServer.infer does."""
        largest = manifest.batch_sizes[-1]
        parts = [
            with_batch_axis(manifest, self._server.infer(manifest, tensor[start : start + largest], deadline))
            for start in range(0, len(tensor), largest)
        ]
        self._ready.add(manifest.name)
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def close(self) -> None:
        """Closes the connections."""
        self._server.close()


def with_batch_axis(manifest: Manifest, values: Sequence[Tensor]) -> list[Tensor]:
    """Outputs that all have a first axis for the pictures."""
    return [value if spec.batch_axis else value[None] for value, spec in zip(values, manifest.outputs, strict=True)]


def zeros(manifest: Manifest, rows: int, shape: Shape = (0, 0)) -> Tensor:
    """A batch of black pictures; a side of any size is that of `shape`, else the smallest."""
    spec = manifest.input
    height, width = (
        declared or wanted or spec.multiple_of
        for declared, wanted in zip((spec.height, spec.width), shape, strict=True)
    )
    sides = (height, width, spec.channels) if spec.layout == "NHWC" else (spec.channels, height, width)
    return np.zeros((rows, *sides), spec.dtype)
