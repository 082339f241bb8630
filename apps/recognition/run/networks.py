"""Networks of the engine for one picture."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.common.clock import Clock
from apps.recognition.engine.core import Engine
from apps.recognition.networks.specs import Manifest


@dataclass(slots=True)
class EngineNetworks:
    """Implementation of `Networks` with a deadline. `clock` measures the stages of the picture."""

    engine: Engine
    descriptor_networks: Mapping[str, str]  # by task
    deadline: float
    clock: Clock = field(default_factory=Clock)
    counted: float = 0.0  # until when the clock has counted; networks that run concurrently count once

    def run(self, network: str, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        return self.start(network, crops)()

    def start(self, network: str, crops: NDArray[np.uint8]) -> Callable[[], dict[str, NDArray[Any]]]:
        tensor = self.engine.manifest(network).input.tensor(crops)
        started = time.perf_counter()
        outputs = self.engine.start(network, tensor, self.deadline)

        def finished() -> dict[str, NDArray[Any]]:
            found = outputs()
            now = time.perf_counter()
            self.clock.add("networks", now - max(started, self.counted))
            self.counted = now
            return found

        return finished

    def for_task(self, task: str) -> Manifest:
        return self.engine.manifest(self.engine.tasks[task])

    def manifest(self, network: str) -> Manifest:
        return self.engine.manifest(network)

    def for_descriptor(self, task: str) -> Manifest:
        return self.engine.manifest(self.descriptor_networks[task])
