"""The chain from detection to descriptor on `LUNA_DEVICE`, decoding included, beside the same networks alone on it.

Alone means: ONNX Runtime running the same rows with nothing around, on CUDA in each network's largest batch, on a CPU
one by one on every core. Run it on a GPU: `LUNA_DEVICE=cuda python -m tests.perf device`. There it also says what
page-locked memory is worth: batches that are written into it and run, beside the same in ordinary memory.
"""

from collections.abc import Callable
from functools import partial
from statistics import mean

import numpy as np

from apps.common.config import Directories, config
from apps.recognition.config import Runtime
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.pinned import PinnedBuffers, cuda_runtime
from apps.recognition.engine.sessions import Device, OnnxSession, Tensor
from apps.recognition.networks.registry import Registry
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from tests.perf.engine import TURNS, RecordingEngine, portrait, speed, speeds
from tests.perf.report import Row

PLAN = Plan(estimators=frozenset({"face_descriptor"}))
PICTURES_AT_ONCE = 16  # alone on CUDA: their rows fill the largest batches
GOAL_FACES_PER_S, GOAL_RATIO = 2500, 0.85


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
    return [*rows, *([pinned(network, batch)] if is_cuda else [])]


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
