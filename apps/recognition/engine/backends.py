"""Back ends of networks: ONNX Runtime in this process with a queue, or an inference server."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from apps.common.processors import lower_priority, usable_processors
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
    """Back end that runs networks. `name`: device or server. `threads`: number of concurrent networks."""

    name: str
    threads: int

    @property
    def waiting_rows(self) -> int:
        """Number of queued inputs."""

    @property
    def counts(self) -> Mapping[str, float]:
        """`Batcher.counts`; empty where another process makes the batches."""

    @property
    def loaded(self) -> list[str]:
        """Names of the loaded networks."""

    def load(self, manifest: Manifest) -> None:
        """Load a network; idempotent. Raises EngineError if it cannot be loaded."""

    def warm_up(self, manifest: Manifest, shapes: Sequence[Shape]) -> None:
        """Load a network and run it once with every height and width of `shapes`."""

    def start(self, manifest: Manifest, tensor: Tensor, deadline: float) -> Callable[[], list[Tensor]]:
        """Return a function that waits for the outputs of a network for all rows of `tensor`, in manifest order."""

    def close(self) -> None:
        """Close the back end; queued requests fail."""


class LocalBackend:
    """ONNX Runtime in this process. Raises EngineError if the device is not present."""

    def __init__(self, config: EngineConfig, registry: Registry, networks: Mapping[str, Manifest]) -> None:
        self._device = Device(config.device, config.gpu_memory_bytes)
        self._registry = registry
        self._networks = networks
        self.name = self._device.name
        self.threads = config.threads or default_threads(self._device, config.processes)
        self._run_threads = min(config.run_threads, usable_processors())
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
            prepare=partial(lower_priority, config.niceness),
        )

    @property
    def waiting_rows(self) -> int:
        """Number of inputs in the queue."""
        return self._batcher.waiting_rows

    @property
    def counts(self) -> Mapping[str, float]:
        """Batches, their inputs and the waiting time of these."""
        return self._batcher.counts

    @property
    def loaded(self) -> list[str]:
        """Names of the networks in memory of this process."""
        return sorted(self._sessions)

    def load(self, manifest: Manifest) -> None:
        """Load the file; on CUDA also check that all nodes run on the device."""
        if manifest.name in self._sessions:
            return
        with self._loading:
            if manifest.name not in self._sessions:
                path = self._registry.get(manifest.name).path
                session = OnnxSession(path, self._device, self._run_threads)
                if self._device.is_cuda:
                    check_placement(manifest.name, placement(path, self._device, zeros(manifest, 1)))
                self._sessions[manifest.name] = session

    def warm_up(self, manifest: Manifest, shapes: Sequence[Shape]) -> None:
        """Run every batch size once; on CUDA in every worker, because each has its own streams."""
        self.load(manifest)
        for shape in shapes:
            for rows in self._batch_sizes(manifest):
                run = partial(self._sessions[manifest.name].run, zeros(manifest, rows, shape))
                if self._device.is_cuda:
                    self._batcher.everywhere(run)
                else:
                    run()

    def start(self, manifest: Manifest, tensor: Tensor, deadline: float) -> Callable[[], list[Tensor]]:
        """Queue the rows. Raises the errors of `Batcher.start`."""
        self.load(manifest)
        return self._batcher.start(manifest.name, tensor, deadline)

    def close(self) -> None:
        """Stop and join the workers."""
        self._batcher.close()

    def _batch_sizes(self, manifest: Manifest) -> tuple[int, ...]:
        """Return all declared sizes on CUDA, and only the smallest on a CPU (reason: see `batching`)."""
        return manifest.batch_sizes if self._device.is_cuda else manifest.batch_sizes[:1]

    def _run(self, network: str, tensor: Tensor) -> list[Tensor]:
        return with_batch_axis(self._networks[network], self._sessions[network].run(tensor))


class RemoteBackend:
    """Inference server. Raises EngineError if it does not respond."""

    def __init__(self, config: EngineConfig) -> None:
        self.name = config.inference_url
        self.threads = config.threads or REMOTE_CONNECTIONS
        self._server = connect(config.inference_url, connections=self.threads)
        self._ready: set[str] = set()

    @property
    def waiting_rows(self) -> int:
        """Always 0, because the server queues requests."""
        return 0

    @property
    def counts(self) -> Mapping[str, float]:
        """Always empty, because the server makes the batches."""
        return {}

    @property
    def loaded(self) -> list[str]:
        """Names of the models that the server has confirmed."""
        return sorted(self._ready)

    def load(self, manifest: Manifest) -> None:
        """Check that the server has the model."""
        if manifest.name not in self._ready:
            self._server.check_ready(manifest.name)
            self._ready.add(manifest.name)

    def warm_up(self, manifest: Manifest, shapes: Iterable[Shape]) -> None:
        """Do nothing: the server warms up its models."""
        self.load(manifest)

    def start(self, manifest: Manifest, tensor: Tensor, deadline: float) -> Callable[[], list[Tensor]]:
        """Return a function that calls the server. The function raises the errors of `InferenceServer.infer`."""
        return partial(self._run, manifest, tensor, deadline)

    def _run(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """Run the network in as few calls as its largest batch allows."""
        largest = manifest.batch_sizes[-1]
        parts = [
            with_batch_axis(manifest, self._server.infer(manifest, tensor[start : start + largest], deadline))
            for start in range(0, len(tensor), largest)
        ]
        self._ready.add(manifest.name)
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def close(self) -> None:
        """Close the connections."""
        self._server.close()


def with_batch_axis(manifest: Manifest, values: Sequence[Tensor]) -> list[Tensor]:
    """Return the outputs with a batch axis first; outputs without one get it."""
    return [value if spec.batch_axis else value[None] for value, spec in zip(values, manifest.outputs, strict=True)]


def zeros(manifest: Manifest, rows: int, shape: Shape = (0, 0)) -> Tensor:
    """Return a batch of zeros. A free side takes its size from `shape`, or else its minimum."""
    spec = manifest.input
    height, width = (
        declared or wanted or spec.multiple_of
        for declared, wanted in zip((spec.height, spec.width), shape, strict=True)
    )
    sides = (height, width, spec.channels) if spec.layout == "NHWC" else (spec.channels, height, width)
    return np.zeros((rows, *sides), spec.dtype)
