"""Recognition engine of one process: its networks and their back end."""

import time
from collections.abc import Callable, Iterable, Mapping

from apps.recognition.engine.backends import Backend, LocalBackend, RemoteBackend
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.heads import head_for
from apps.recognition.engine.heads.base import Head
from apps.recognition.engine.sessions import Tensor
from apps.recognition.engine.warps import check_alignment
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry, State
from apps.recognition.networks.specs import Manifest
from apps.recognition.switches import FACE_DETECTOR, HUMAN_DETECTOR

REQUIRED_TASKS = ("face_detector", "face_mesh", "face_descriptor")


class Engine:
    """Engine that runs networks for any number of threads and loads each network at its first use.

    Raises EngineError if the device or an indispensable network is missing. The engine belongs to the process that
    created it; a forked child creates its own.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._registry, self._networks, self._tasks = _installed(config)
        detector = self._networks[self._tasks["face_detector"]]
        self._head = head_for(detector, config.face_score)
        if "face_descriptor" in self._tasks:
            descriptor = self._networks[self._tasks["face_descriptor"]]
            check_alignment(descriptor.name, descriptor.descriptor.alignment if descriptor.descriptor else None)
        self._backend: Backend = (
            RemoteBackend(config) if config.inference_url else LocalBackend(config, self._registry, self._networks)
        )
        try:
            if not {FACE_DETECTOR, HUMAN_DETECTOR} <= config.off:
                self._backend.load(detector)  # a device that does not work fails at start
        except EngineError:
            self._backend.close()
            raise

    @property
    def tasks(self) -> Mapping[str, str]:
        """Name of the installed network that serves each task."""
        return self._tasks

    @property
    def head(self) -> Head:
        """Head of the face detector: its inputs and the decoding of its outputs."""
        return self._head

    def manifest(self, network: str) -> Manifest:
        """Return the manifest of an installed network. Raises KeyError for any other network."""
        return self._networks[network]

    def descriptor_networks(self) -> dict[int, str]:
        """Return the installed descriptor networks by descriptor version."""
        return {manifest.descriptor.version: name for name, manifest in self._networks.items() if manifest.descriptor}

    def deadline(self) -> float:
        """Return the deadline of a request that starts now, as a value of time.monotonic()."""
        return time.monotonic() + self.config.deadline_s

    def run(self, network: str, tensor: Tensor, deadline: float) -> dict[str, Tensor]:
        """Return the outputs by name for `tensor` [N, ...] in the form of the manifest's input.

        Raises the errors of the back end's `start` and of its function.
        """
        return self.start(network, tensor, deadline)()

    def start(self, network: str, tensor: Tensor, deadline: float) -> Callable[[], dict[str, Tensor]]:
        """Start a network and return a function that waits for its outputs, as `run`."""
        manifest = self._networks[network]
        outputs = self._backend.start(manifest, tensor, deadline)
        return lambda: {output.name: value for output, value in zip(manifest.outputs, outputs(), strict=True)}

    def warm_up(self, tasks: frozenset[str]) -> None:
        """Load the networks of these tasks and run each once in every shape, so that first requests are not slower."""
        names = [self._tasks[task] for task in sorted(tasks & self._tasks.keys())]
        for name in _with_companions(self._registry, names):
            manifest = self._networks[name]
            is_detector = name == self._tasks["face_detector"]
            self._backend.warm_up(manifest, self._head.warm_up_shapes() if is_detector else [(0, 0)])

    def status(self) -> dict[str, object]:
        """Return device, threads, queue and networks, for health checks and the version page."""
        return {
            "device": self._backend.name,
            "threads": self._backend.threads,
            "queue_rows": self._backend.waiting_rows,
            "queue_limit": self.config.queue_rows,
            **self._backend.counts,
            "networks": dict(self._tasks),
            "loaded": self._backend.loaded,
        }

    def close(self) -> None:
        """Close the back end; queued requests fail."""
        self._backend.close()


def _with_companions(registry: Registry, names: Iterable[str]) -> list[str]:
    return [each for name in names for each in (name, *registry.manifest(name).companions)]


def _installed(config: EngineConfig) -> tuple[Registry, dict[str, Manifest], dict[str, str]]:
    try:
        registry = Registry(config.networks_dir)
        tasks = {task: registry.for_task(task).manifest.name for task in registry.available_tasks()}
        for task in REQUIRED_TASKS:
            if task == "face_descriptor" and task in config.off:
                continue
            registry.for_task(task)
        for companion in _with_companions(registry, tasks.values()):
            registry.get(companion)
    except NetworkError as error:
        raise EngineError(f"{error}") from error
    networks = {
        name: manifest for name, manifest in registry.manifests.items() if registry.state(name) is State.INSTALLED
    }
    return registry, networks, tasks
