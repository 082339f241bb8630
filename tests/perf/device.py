"""The chain from detection to descriptor on `LUNA_DEVICE`, decoding included, beside the same networks alone on it.

Alone means: ONNX Runtime running the same rows with nothing around, on CUDA in each network's largest batch, on a CPU
one by one on every core. Run it on a GPU: `LUNA_DEVICE=cuda python -m tests.perf device`. There it also says what
page-locked memory is worth: batches that are written into it and run, beside the same in ordinary memory.

Its last rows are scans of lists by the device, beside the CPU's scan on one core, without PostgreSQL's decision:
10,000,000 × 512 on CUDA, 100,000 on a CPU, or `LUNA_BENCH_FACES`. Descriptors are those of the benchmark `segments`.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from statistics import mean

import numpy as np

from apps.common.config import Directories, config
from apps.matching.config import Precision
from apps.matching.segments.codes import Basis, Floats, encode
from apps.matching.segments.device import MatchingDevice
from apps.matching.segments.scan import Best, Scan, Segment, scan
from apps.recognition.config import Runtime
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.pinned import PinnedBuffers, cuda_runtime
from apps.recognition.engine.sessions import Device, OnnxSession, Tensor
from apps.recognition.networks.registry import Registry
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from tests.perf.engine import TURNS, RecordingEngine, portrait, speed, speeds
from tests.perf.people import population
from tests.perf.report import Row, percentile

PLAN = Plan(estimators=frozenset({"face_descriptor"}))
PICTURES_AT_ONCE = 16  # alone on CUDA: their rows fill the largest batches
GOAL_FACES_PER_S, GOAL_RATIO = 2500, 0.85
DIMENSION, LIMIT, SCANS, PART_ROWS = 512, 5, 30, 200_000
SCAN_GOALS: dict[Precision, str] = {"int8": "<= 2 ms", "fp16": "<= 3 ms"}


def bench() -> list[Row]:
    """Descriptors a second, and pictures a second with one face each."""
    is_cuda = config(Runtime).global_device_class != "cpu"
    engine = RecordingEngine(
        EngineConfig(config(Directories).networks, device=config(Runtime).global_device_class, queue_rows=4096)
    )
    try:
        engine.warm_up(frozenset({"face_detector", "face_mesh", "face_descriptor"}))
        pipeline, item = Pipeline(engine, PLAN), ImageInput(portrait(), "portrait.jpg")
        pipeline.process(item)
        recorded, engine.recorded = engine.recorded or [], None
        described = [each for each in recorded if each[0] == engine.tasks["face_descriptor"]]
        ((network, crops),) = described
        concurrency, threads = 32 if is_cuda else 8, int(str(engine.status()["threads"]))
        pictures = PICTURES_AT_ONCE if is_cuda else 1

        def rates(own: Callable[[], object], rows: list[tuple[str, Tensor]]) -> tuple[float, float]:
            bare = alone(rows, pictures)
            turns = [(speed(own, concurrency).rate, speed(bare, threads).rate) for _ in range(TURNS)]
            ours, theirs = map(mean, zip(*turns, strict=True))
            return ours, theirs * pictures

        faces = rates(lambda: engine.run(network, crops, engine.deadline()), described)
        chain = rates(lambda: pipeline.process(item), recorded)
        batch = np.concatenate([crops] * PICTURES_AT_ONCE)[: engine.manifest(network).batch_sizes[-1]]
    finally:
        engine.close()
    goals = (f"≥ {GOAL_FACES_PER_S:,} faces/s", f"ratio ≥ {GOAL_RATIO}") if is_cuda else ("", "")
    where = f"{config(Runtime).global_device_class}, {concurrency} at a time"
    rows = [
        Row(f"descriptors, {where}", faces[0], "faces/s", faces[1], faces[0] / faces[1], goals[0]),
        Row(f"detection to descriptor, {where}", chain[0], "images/s", chain[1], chain[0] / chain[1], goals[1]),
    ]
    return [*rows, *([pinned(network, batch)] if is_cuda else []), *scans(config(Runtime).global_device_class)]


def scans(name: str) -> list[Row]:
    """Top 5 of one vector in one segment, in both precisions, and what stays unproven."""
    faces = int(os.environ.get("LUNA_BENCH_FACES", "100000" if name == "cpu" else "10000000"))
    drawn, random = population(DIMENSION).people, np.random.default_rng(2026)
    parts = [encode(drawn(random, min(PART_ROWS, faces - at)), Basis(DIMENSION)) for at in range(0, faces, PART_ROWS)]
    codes, head, scale, residual, tail = (
        np.concatenate([getattr(part, each) for part in parts])
        for each in ("codes", "head", "scale", "residual", "tail")
    )
    del parts
    segment = Segment(Basis(DIMENSION), np.arange(faces), codes, head, scale, residual, tail)
    asked, nothing = drawn(random, SCANS), np.empty(0, np.intp)

    def milliseconds(chosen: Scan) -> float:
        def one(vector: Floats) -> float:
            started = time.perf_counter()
            chosen(segment, vector[None], Best.of(1, LIMIT, -1.0), without=nothing)
            return (time.perf_counter() - started) * 1e3

        return percentile([one(each) for each in asked], 50)

    cpu = milliseconds(scan)
    rows = []
    for precision, goal in SCAN_GOALS.items():
        device = MatchingDevice(name, precision, memory_limit=2**50, min_rows=1)
        own = milliseconds(device.scan_of([segment], [nothing]))
        text = f"{faces:,} × {DIMENSION}, top {LIMIT}, {precision} on {name}, p50"
        rows.append(Row(text, own, "ms", cpu, own / cpu, "" if name == "cpu" else goal))
        rows.append(Row("… left to the CPU, of all scans", device.counts["unproven"] / SCANS, "", goal="0"))
    return rows


def pinned(network: str, batch: Tensor) -> Row:
    """Batches of one network a second from page-locked memory, beside ordinary memory; one thread, no engine."""
    device = Device(config(Runtime).global_device_class)
    session = OnnxSession(Registry(config(Directories).networks).get(network).path, device)
    places = [PinnedBuffers(device, cuda_runtime(device)).empty(batch.shape, batch.dtype), np.empty_like(batch)]

    def run(place: Tensor) -> None:
        place[:] = batch
        session.run(place)

    locked, ordinary = speeds([partial(run, place) for place in places], 1)
    name = f"{network}, {len(batch)} a batch, page-locked beside ordinary memory"
    return Row(name, locked.rate, "batches/s", ordinary.rate, locked.rate / ordinary.rate)


def alone(recorded: list[tuple[str, Tensor]], pictures: int) -> Callable[[], object]:
    """Run the networks on the recorded inputs of one picture, as often as for `pictures`."""
    registry, device = Registry(config(Directories).networks), Device(config(Runtime).global_device_class)
    runs: list[tuple[OnnxSession, Tensor]] = []
    for name, tensor in recorded:
        network = registry.get(name)
        session = OnnxSession(network.path, device)
        rows = np.concatenate([tensor] * pictures)
        batch = network.manifest.batch_sizes[-1 if device.is_cuda else 0]
        runs += [(session, rows[start : start + batch]) for start in range(0, len(rows), batch)]
    return lambda: [session.run(part) for session, part in runs]
