"""Facade of recognition for other rooms: pictures and a plan in, faces and bodies out.

Each process creates its engine at first use: `warm_up` at start, or the first request. A forked child creates its own.
"""

import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

from apps.common.config import Changed, Directories, Images, config, web_processes
from apps.common.process import PerProcess
from apps.recognition.config import (
    BackgroundRecognition,
    BodyDetector,
    DeepfakeEstimator,
    FaceDetector,
    LivenessEstimator,
    Runtime,
    Switches,
)
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.estimators.registry import available, ordered, without_network
from apps.recognition.request.thresholds import PredictionThresholds
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.run.share import DEADLINE_S, in_background, yielding
from apps.recognition.switches import BODY_DETECTOR, FACE_DETECTOR, HUMAN_DETECTOR, names_off
from apps.recognition.types import ImageInput, ImageResult, Plan

# Pictures of one request that are processed concurrently; more would only keep decoded pixels in memory.
PICTURES_AT_ONCE = 4
CLOSING_S = 30.0  # after the deadline of a request, until its last network has run
FACE_TASKS, BODY_TASKS = {"face_detector", "face_mesh"}, {"object_detector", "body_pose"}


def recognise(images: Sequence[ImageInput], plan: Plan) -> list[ImageResult]:
    """Return the result of each picture, in order of `images`. The error of a picture is in its result.

    Raises LunaError for the whole request: ESTIMATOR_NOT_INITIALIZED for an estimator that is unknown or has no
    network, UNSUPPORTED_DESCRIPTOR_VERSION for an unknown version, and with status 503 BATCHING_ERROR or
    PROCESSING_TIMEOUT if the engine is overloaded.
    """
    pipeline = Pipeline(engine(), plan)
    if len(images) == 1:
        return [pipeline.process(images[0])]
    return list(_side_by_side(pipeline, images))


def prediction_thresholds() -> PredictionThresholds:
    """Return the prediction thresholds of this installation."""
    return PredictionThresholds(
        liveness=config(LivenessEstimator).estimator_settings.real_threshold,
        liveness_quality=config(LivenessEstimator).estimator_settings.quality_threshold,
        deepfake=config(DeepfakeEstimator).estimator_settings.real_threshold,
    )


def engine() -> Engine:
    """Return the engine of this process. Raises EngineError if it cannot start as configured."""
    return _engine()


def warm_up() -> None:
    """Start the engine and load all available networks, so that the first request is not slower than others.

    Call it at process start. Raises EngineError if the device or a network is missing.
    """
    _warm(engine())


def _warm(running: Engine) -> None:
    off = running.config.off
    estimators = available(running.tasks, off)
    used = {task for each in ordered(estimators, running.tasks, off) for task in each.tasks}
    for tasks, detector in (FACE_TASKS, FACE_DETECTOR), (BODY_TASKS, BODY_DETECTOR):
        if not {detector, HUMAN_DETECTOR} <= off:
            used |= tasks
    running.warm_up(frozenset(used))


def available_estimators() -> frozenset[str]:
    """Return the estimators that are switched on and have installed networks; a plan may name them."""
    running = engine()
    return available(running.tasks, running.config.off)


def unavailable_estimations(names: Collection[str]) -> list[str]:
    """Return those of `names` that are switched on but have no installed network, in alphabetical order."""
    running = engine()
    return sorted(without_network(names, running.tasks, running.config.off))


def engine_status() -> dict[str, object]:
    """Return the engine's device, threads, queue, networks by task, loaded networks and available estimators."""
    running = engine()
    return running.status() | {"estimators": sorted(available_estimators())}


def renew(changed: Changed = frozenset()) -> None:
    """Replace the engine by one with the current settings, if they differ from its own.

    Requests that run finish on the former engine, which is closed when the last of them must have ended. Until then
    the networks of both are in memory. Raises EngineError; then the former engine stays.
    """
    running = _engine.value
    if running is None or running.config == _config():
        return
    renewed = Engine(_config())
    _warm(renewed)
    if former := _engine.replace(renewed):
        closing = threading.Timer(former.config.deadline_s + CLOSING_S, former.close)
        closing.daemon = True
        closing.start()


def shut_down() -> None:
    """Stop the threads of the engine; the next request restarts it."""
    _engine.close()
    _pictures.close()


def _side_by_side(pipeline: Pipeline, images: Sequence[ImageInput]) -> Iterator[ImageResult]:
    running: deque[Future[ImageResult]] = deque()
    for image in images:
        if len(running) == PICTURES_AT_ONCE:
            yield running.popleft().result()
        running.append(_pictures().submit(copy_context().run, pipeline.process, image))
    while running:
        yield running.popleft().result()


def _config() -> EngineConfig:
    runtime, faces = config(Runtime), config(FaceDetector).estimator_settings
    engine_config = EngineConfig(
        networks_dir=config(Directories).networks,
        device=runtime.global_device_class,
        gpu_memory_bytes=runtime.gpu_memory_bytes,
        inference_url=runtime.inference_url,
        threads=runtime.num_threads,
        run_threads=runtime.run_threads,
        processes=web_processes(),
        max_image_bytes=config(Images).max_bytes,
        max_image_pixels=config(Images).max_pixels,
        auto_rotation=runtime.use_auto_rotation,
        face_score=faces.score_threshold,
        body_score=config(BodyDetector).estimator_settings.score_threshold,
        min_face_px=faces.min_face_size,
        face_tiles=faces.tiles,
        off=names_off(config(Switches).all()),
    )
    return _in_background(engine_config) if in_background() else engine_config


def _in_background(engine_config: EngineConfig) -> EngineConfig:
    """Return the configuration of a worker's engine, see `share`."""
    limits = config(BackgroundRecognition)
    on_gpu = engine_config.device != "cpu"
    return replace(
        engine_config,
        threads=limits.num_threads or (1 if on_gpu else 0),
        run_threads=1,  # idle processors are the exception
        processes=1,
        niceness=limits.niceness,
        deadline_s=DEADLINE_S,
    )


def _close_pictures(pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False)


_engine = PerProcess("recognition engine", lambda: Engine(_config()), close=Engine.close, status=Engine.status)
_pictures = PerProcess(
    "pictures",
    lambda: ThreadPoolExecutor(PICTURES_AT_ONCE * 2, thread_name_prefix="luna-pictures", initializer=yielding),
    close=_close_pictures,
)
