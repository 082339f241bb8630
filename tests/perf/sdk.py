"""POST /6/sdk over HTTP with everything that the installed networks can estimate, beside bare ONNX Runtime running the
same networks on the same inputs, from as many threads.

The bare side replays the tensors that the engine feeds to the networks for this picture, in whichever way is fastest
here, as in `engine`. Both sides take turns, so that a busy moment of the machine hits both.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from apps.common.config import Directories, config
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.estimators.registry import available
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from apps.recognition.vocabulary import sdk_flags
from tests.perf.engine import RecordingEngine, bare_ways, portrait
from tests.perf.report import Row, percentile
from tests.perf.web import platform

TURN_S = 4.0
TURNS = 3
CONCURRENCY = (1, 8)
GOAL = 1.25
FLAGS = {flag: row.name for flag, row in sdk_flags().items()}
Run = Callable[[], object]


def bench() -> list[Row]:
    """Rows for one portrait of 640 px: face and body with warps, every estimation."""
    picture = portrait()
    engine = RecordingEngine(EngineConfig(config(Directories).networks))
    try:
        path, plan = everything(engine)
        Pipeline(engine, plan).process(ImageInput(picture, "portrait.jpg"))
        bare = bare_ways(engine.recorded or [])
    finally:
        engine.close()
    with platform() as (_, connect):

        def client() -> Run:
            connection = connect()
            return lambda: connection.ask("POST", path, picture, "image/jpeg")

        assert orjson.loads(connect().ask("POST", path, picture, "image/jpeg"))["images_estimations"][0]["estimations"]
        return [row for concurrency in CONCURRENCY for row in _compare(client, bare, concurrency)]


def everything(engine: Engine) -> tuple[str, Plan]:
    """The request that asks for all that can be estimated here, and the same plan."""
    names = {flag: name for flag, name in FLAGS.items() if name in available(engine.tasks)}
    bodies = "object_detector" in engine.tasks
    others = {"detect_body": bodies, "estimate_face_warp": True, "estimate_body_warp": bodies}
    query = "&".join([*(f"{flag}=1" for flag in names), *(f"{flag}=1" for flag, on in others.items() if on)])
    return f"/6/sdk?{query}", Plan(detect_body=bodies, estimators=frozenset(names.values()))


@dataclass(frozen=True)
class Measured:
    """Images per second and the milliseconds of each."""

    rate: float
    times_ms: list[float]


def _compare(client: Callable[[], Run], bare: list[Run], concurrency: int) -> list[Row]:
    ways = [client, *((lambda way=way: way) for way in bare)]
    for make in ways:
        make()()
    turns = [[_measure(make, concurrency) for make in ways] for _ in range(TURNS)]
    own, *others = (_joined(list(each)) for each in zip(*turns, strict=True))
    best = max(others, key=lambda measured: measured.rate)
    name = f"POST /6/sdk, everything on, concurrency {concurrency}"
    rows = [Row(name, own.rate, "images/s", best.rate, best.rate / own.rate, f"ratio <= {GOAL}")]
    for percent in (50, 95):
        own_ms, bare_ms = percentile(own.times_ms, percent), percentile(best.times_ms, percent)
        rows.append(Row(f"… p{percent}", own_ms, "ms", bare_ms, own_ms / bare_ms))
    return rows


def _joined(turns: list[Measured]) -> Measured:
    return Measured(sum(turn.rate for turn in turns) / len(turns), [ms for turn in turns for ms in turn.times_ms])


def _measure(make: Callable[[], Run], concurrency: int) -> Measured:
    """From `concurrency` threads for `TURN_S`."""
    times_ms: list[float] = []
    stop = time.perf_counter() + TURN_S

    def work(run: Run) -> None:
        while (started := time.perf_counter()) < stop:
            run()
            times_ms.append((time.perf_counter() - started) * 1e3)

    threads = [threading.Thread(target=work, args=(make(),)) for _ in range(concurrency)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Measured(len(times_ms) / (time.perf_counter() - started), times_ms)
