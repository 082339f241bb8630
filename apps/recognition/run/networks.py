"""Networks of the engine for one picture."""

from collections.abc import Mapping, Sequence
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

    def run(self, network: str, crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        return self.run_all([(network, crops)])[0]

    def run_all(self, calls: Sequence[tuple[str, NDArray[np.uint8]]]) -> list[dict[str, NDArray[Any]]]:
        tensors = [(network, self.engine.manifest(network).input.tensor(crops)) for network, crops in calls]
        with self.clock.stage("networks"):
            started = [self.engine.start(network, tensor, self.deadline) for network, tensor in tensors]
            return [outputs() for outputs in started]

    def for_task(self, task: str) -> Manifest:
        return self.engine.manifest(self.engine.tasks[task])

    def manifest(self, network: str) -> Manifest:
        return self.engine.manifest(network)

    def for_descriptor(self, task: str) -> Manifest:
        return self.engine.manifest(self.descriptor_networks[task])
