"""Engine images per second, decoding included, against bare ONNX Runtime running the same networks on the same inputs.

The bare side replays the very tensors that the engine fed to the networks for this picture, from as many threads, and
may do so in whichever way is fastest here: whole batches or single rows, one core a run or all cores.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import skimage.data

from apps.common.config import Directories, config
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.sessions import Tensor
from apps.recognition.networks.registry import Registry
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from tests.perf.report import Row

SECONDS = 1.5
TURNS = 3
CONCURRENCY = (1, 8)
PLAN = Plan(estimators=frozenset({"face_descriptor", "basic_attributes"}))
GOAL_AT_8 = 0.85


def bench() -> list[Row]:
    """Rows for one portrait of 640 px: detection, mesh, descriptor, age and sex."""
    item = ImageInput(portrait(), "portrait.jpg")
    engine = RecordingEngine(EngineConfig(config(Directories).networks))
    try:
        pipeline = Pipeline(engine, PLAN)
        pipeline.process(item)
        recorded, engine.recorded = engine.recorded, None
        rows = []
        for concurrency in CONCURRENCY:
            own, *ways = speeds([lambda: pipeline.process(item), *bare_ways(recorded or [])], concurrency)
            bare = max(ways, key=lambda speed: speed.rate)
            goal = f"ratio ≥ {GOAL_AT_8}" if concurrency == CONCURRENCY[-1] else ""
            name = f"engine, concurrency {concurrency}"
            rows.append(Row(name, own.rate, "images/s", bare.rate, own.rate / bare.rate, goal))
            # Of use where other programs share the cores: they take time from it, hardly CPU time.
            rows.append(Row(f"{name}, CPU time", own.cpu_ms, "ms/image", bare.cpu_ms, own.cpu_ms / bare.cpu_ms))
        return rows
    finally:
        engine.close()


def portrait() -> bytes:
    """scikit-image's astronaut as a JPEG of 640×640 with one face."""
    picture = cv2.resize(skimage.data.astronaut(), (640, 640), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


@dataclass(frozen=True)
class Speed:
    """Calls per second, and milliseconds of CPU time that all threads together spent on one."""

    rate: float
    cpu_ms: float


def speeds(runs: list[Callable[[], object]], concurrency: int) -> list[Speed]:
    """Of each, taken in turns so that a busy moment of the machine hits all of them."""
    for run in runs:
        run()
    turns = [[speed(run, concurrency) for run in runs] for _ in range(TURNS)]
    return [
        Speed(mean(each.rate for each in own), mean(each.cpu_ms for each in own)) for own in zip(*turns, strict=True)
    ]


def speed(run: Callable[[], object], concurrency: int) -> Speed:
    """From `concurrency` threads, over `SECONDS`."""
    counter = itertools.count()
    stop = time.perf_counter() + SECONDS

    def work() -> None:
        while time.perf_counter() < stop:
            run()
            next(counter)

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    started, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = next(counter)
    return Speed(calls / (time.perf_counter() - started), (time.process_time() - cpu) * 1e3 / calls)


class RecordingEngine(Engine):
    """Engine that records the inputs of networks while `recorded` is a list."""

    def __init__(self, config: EngineConfig) -> None:
        self.recorded: list[tuple[str, Tensor]] | None = []
        super().__init__(config)

    def start(self, network: str, tensor: Tensor, deadline: float) -> Callable[[], dict[str, Tensor]]:
        if self.recorded is not None:
            self.recorded.append((network, tensor))
        return super().start(network, tensor, deadline)


def _run_all(feeds: list[tuple[Any, dict[str, Tensor]]]) -> list[Any]:
    return [session.run(None, feed) for session, feed in feeds]


def bare_ways(recorded: list[tuple[str, Tensor]]) -> list[Callable[[], object]]:
    ways: list[Callable[[], object]] = []
    for threads in (1, os.cpu_count() or 1):
        sessions = {network: _session(network, threads) for network, _ in recorded}
        for by_rows in (False, True):
            feeds = [
                (sessions[network], {sessions[network].get_inputs()[0].name: part})
                for network, tensor in recorded
                for part in (np.split(tensor, len(tensor)) if by_rows else [tensor])
            ]
            ways.append(partial(_run_all, feeds))
    return ways


def _session(network: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    path = Registry(config(Directories).networks).get(network).path
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
