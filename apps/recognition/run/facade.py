"""The recognition room's one door for other rooms: pictures and a plan in, faces out.

The engine of a process is made when it is first asked for, by `warm_up` at start or by the first request; a forked
child makes its own.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from apps.common.config import Directories, Images, config
from apps.common.process import PerProcess
from apps.recognition.config import BodyDetector, DeepfakeEstimator, FaceDetector, LivenessEstimator, Runtime, Switches
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.estimators.registry import available, ordered, without_network
from apps.recognition.request.thresholds import PredictionThresholds
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.switches import BODY_DETECTOR, FACE_DETECTOR, HUMAN_DETECTOR, names_off
from apps.recognition.types import ImageInput, ImageResult, Plan

# Pictures of one request that are worked on at a time: the others' decoded pixels would only wait in memory.
PICTURES_AT_ONCE = 4
FACE_TASKS, BODY_TASKS = {"face_detector", "face_mesh"}, {"object_detector", "body_pose"}


def recognise(images: Sequence[ImageInput], plan: Plan) -> list[ImageResult]:
    """The faces of each picture, in order of `images`; a picture's own error stands in its result.

    Raises LunaError for the whole request: ESTIMATOR_NOT_INITIALIZED (an estimator that is unknown or has no
    network), UNSUPPORTED_DESCRIPTOR_VERSION (unknown descriptor version), and with status 503 BATCHING_ERROR or
    PROCESSING_TIMEOUT where the engine has too much to do.
    """
    pipeline = Pipeline(engine(), plan)
    if len(images) == 1:
        return [pipeline.process(images[0])]
    return list(_side_by_side(pipeline, images))


def prediction_thresholds() -> PredictionThresholds:
    """Those of this installation."""
    return PredictionThresholds(
        liveness=config(LivenessEstimator).estimator_settings.real_threshold,
        liveness_quality=config(LivenessEstimator).estimator_settings.quality_threshold,
        deepfake=config(DeepfakeEstimator).estimator_settings.real_threshold,
    )


def engine() -> Engine:
    """The engine of this process. Raises EngineError where it cannot start as configured."""
    return _engine()


def warm_up() -> None:
    """Starts the engine and loads the networks that plans can use, so that the first request is no slower.

    Raises EngineError with one sentence where the device or a network is missing: call it when the process starts.
    """
    running = engine()
    off = running.config.off
    used = {task for each in ordered(available_estimators(), running.tasks, off) for task in each.tasks}
    for tasks, detector in (FACE_TASKS, FACE_DETECTOR), (BODY_TASKS, BODY_DETECTOR):
        if not {detector, HUMAN_DETECTOR} <= off:
            used |= tasks
    running.warm_up(frozenset(used))


def available_estimators() -> frozenset[str]:
    """The estimators that a plan may name: they are on, and their networks are installed."""
    running = engine()
    return available(running.tasks, running.config.off)


def unavailable_estimations(names: Collection[str]) -> list[str]:
    """Return those of `names` that are on, but for which no network is installed, in alphabetical order."""
    running = engine()
    return sorted(without_network(names, running.tasks, running.config.off))


def engine_status() -> dict[str, object]:
    """Device, threads, queue, networks by task, the loaded ones, and the estimators that a plan may name."""
    running = engine()
    return running.status() | {"estimators": sorted(available_estimators())}


def shut_down() -> None:
    """Ends the engine's threads; the next request starts it again."""
    _engine.close()
    _pictures.close()


def _side_by_side(pipeline: Pipeline, images: Sequence[ImageInput]) -> Iterator[ImageResult]:
    running: deque[Future[ImageResult]] = deque()
    for image in images:
        if len(running) == PICTURES_AT_ONCE:
            yield running.popleft().result()
        running.append(_pictures().submit(pipeline.process, image))
    while running:
        yield running.popleft().result()


def _config() -> EngineConfig:
    runtime, faces = config(Runtime), config(FaceDetector).estimator_settings
    return EngineConfig(
        networks_dir=config(Directories).networks,
        device=runtime.global_device_class,
        gpu_memory_bytes=runtime.gpu_memory_bytes,
        inference_url=runtime.inference_url,
        threads=runtime.num_threads,
        max_image_bytes=config(Images).max_bytes,
        max_image_pixels=config(Images).max_pixels,
        auto_rotation=runtime.use_auto_rotation,
        face_score=faces.score_threshold,
        body_score=config(BodyDetector).estimator_settings.score_threshold,
        min_face_px=faces.min_face_size,
        face_tiles=faces.tiles,
        off=names_off(config(Switches).all()),
    )


def _close_pictures(pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False)


_engine = PerProcess("recognition engine", lambda: Engine(_config()), close=Engine.close, status=Engine.status)
_pictures = PerProcess(
    "pictures",
    lambda: ThreadPoolExecutor(PICTURES_AT_ONCE * 2, thread_name_prefix="luna-pictures"),
    close=_close_pictures,
)
