"""Networks of a picture: what the clock counts. The engine is replaced, because its networks are not what is tested."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from apps.recognition.run.networks import EngineNetworks

SECONDS = 0.05


class Slow:
    """Engine whose networks finish `SECONDS` after their start."""

    def manifest(self, network: str) -> Any:
        return SimpleNamespace(input=SimpleNamespace(tensor=lambda crops: crops))

    def start(self, network: str, tensor: Any, deadline: float) -> Any:
        finish = time.perf_counter() + SECONDS

        def outputs() -> dict[str, Any]:
            time.sleep(max(0.0, finish - time.perf_counter()))
            return {network: tensor}

        return outputs


def test_networks_that_run_at_once_count_once_and_others_add_up() -> None:
    engine: Any = Slow()
    networks, crops = EngineNetworks(engine, {}, 0.0), np.zeros((1, 4, 4, 3), np.uint8)
    started = time.perf_counter()
    first, second = networks.start("first", crops), networks.start("second", crops)
    assert [list(first()), list(second())] == [["first"], ["second"]]
    assert SECONDS * 1e3 <= networks.clock.stage_ms["networks"] <= (time.perf_counter() - started) * 1e3
    networks.run("third", crops)
    assert networks.clock.stage_ms["networks"] >= 2 * SECONDS * 1e3
