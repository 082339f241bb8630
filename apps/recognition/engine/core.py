"""The engine of one process: its networks, the device they run on and the queue in front of them."""

import threading
import time
from collections.abc import Iterable, Mapping

import numpy as np

from apps.recognition.engine.batching import Batcher
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.heads import head_for
from apps.recognition.engine.heads.base import Head
from apps.recognition.engine.sessions import Device, Session, Tensor, default_threads
from apps.recognition.engine.warps import check_alignment
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry, State
from apps.recognition.networks.specs import Manifest

REQUIRED_TASKS = ("face_detector", "face_mesh", "face_descriptor")


class Engine:
    """Runs networks for any number of threads. Networks are loaded when they are first asked for.

    Raises EngineError when the device or a network that nothing works without is absent. Belongs to the process that
    made it: a forked child makes its own.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._device = Device(config.device)
        self._threads = config.threads or default_threads(self._device)
        self._registry, self._networks, self._tasks = _installed(config)
        self._head = head_for(self._networks[self._tasks["face_detector"]])
        descriptor = self._networks[self._tasks["face_descriptor"]]
        check_alignment(descriptor.name, descriptor.descriptor.alignment if descriptor.descriptor else None)
        self._sessions: dict[str, Session] = {}
        self._loading = threading.Lock()
        self._session(self._tasks["face_detector"])  # tells at once whether the device works
        self._batcher = Batcher(
            self._run_session,
            {name: self._batch_sizes(manifest) for name, manifest in self._networks.items()},
            workers=self._threads,
            queue_rows=config.queue_rows,
        )

    @property
    def tasks(self) -> Mapping[str, str]:
        """Task to the name of the installed network that serves it."""
        return self._tasks

    @property
    def head(self) -> Head:
        """How the face detector is fed and read."""
        return self._head

    def manifest(self, network: str) -> Manifest:
        """Of an installed network. Raises KeyError for any other."""
        return self._networks[network]

    def descriptor_networks(self) -> dict[int, str]:
        """Descriptor version to installed network."""
        return {manifest.descriptor.version: name for name, manifest in self._networks.items() if manifest.descriptor}

    def deadline(self) -> float:
        """The time.monotonic() until which a request that starts now must be served."""
        return time.monotonic() + self.config.deadline_s

    def run(self, network: str, tensor: Tensor, deadline: float) -> dict[str, Tensor]:
        """Outputs by name for `tensor` [N, ...] as the manifest's input wants it. Raises as Batcher.run does."""
        session = self._session(network)
        return dict(zip(session.outputs, self._batcher.run(network, tensor, deadline), strict=True))

    def warm_up(self, tasks: frozenset[str]) -> None:
        """Loads the networks of these tasks and runs each once in every batch size, so that no request pays for it."""
        names = [self._tasks[task] for task in sorted(tasks & self._tasks.keys())]
        for name in _with_companions(self._registry, names):
            manifest = self._networks[name]
            session = self._session(manifest.name)
            for size in self._batch_sizes(manifest):
                session.run(_zeros(manifest, size))

    def status(self) -> dict[str, object]:
        """Device, threads, queue and networks, for health checks and the version page."""
        return {
            "device": self._device.name,
            "threads": self._threads,
            "queue_rows": self._batcher.waiting_rows,
            "queue_limit": self.config.queue_rows,
            "networks": dict(self._tasks),
            "loaded": sorted(self._sessions),
        }

    def close(self) -> None:
        """Ends the workers; waiting requests fail."""
        self._batcher.close()

    def _batch_sizes(self, manifest: Manifest) -> tuple[int, ...]:
        """On a CPU the smallest declared size alone (batching.py says why), else all of them."""
        return manifest.batch_sizes if self._device.is_cuda else manifest.batch_sizes[:1]

    def _session(self, network: str) -> Session:
        session = self._sessions.get(network)
        if session is None:
            with self._loading:
                session = self._sessions.get(network)
                if session is None:
                    session = Session(self._registry.get(network).path, self._device)
                    self._sessions[network] = session
        return session

    def _run_session(self, network: str, tensor: Tensor) -> list[Tensor]:
        values = self._sessions[network].run(tensor)
        outputs = self._networks[network].outputs
        return [value if spec.batch_axis else value[None] for value, spec in zip(values, outputs, strict=True)]


def _with_companions(registry: Registry, names: Iterable[str]) -> list[str]:
    return [each for name in names for each in (name, *registry.manifest(name).companions)]


def _zeros(manifest: Manifest, rows: int) -> Tensor:
    # A side of any size (0 in the manifest) is tried with its smallest.
    shape = [side or manifest.input.multiple_of for side in manifest.input.shape]
    return np.zeros((rows, *shape), manifest.input.dtype)


def _installed(config: EngineConfig) -> tuple[Registry, dict[str, Manifest], dict[str, str]]:
    try:
        registry = Registry(config.networks_dir)
        tasks = {task: registry.for_task(task).manifest.name for task in registry.available_tasks()}
        for task in REQUIRED_TASKS:
            registry.for_task(task)
        for companion in _with_companions(registry, tasks.values()):
            registry.get(companion)
    except NetworkError as error:
        raise EngineError(f"{error}") from error
    networks = {
        name: manifest for name, manifest in registry.manifests.items() if registry.state(name) is State.INSTALLED
    }
    return registry, networks, tasks
