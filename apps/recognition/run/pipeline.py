"""Recognition pipeline of one picture.

Steps: decode, detect faces (mesh, five landmarks, warp) and bodies (pose, warp), join the face and body of each person,
run the plan's estimators in the order of their dependencies.
"""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from apps.common import errors
from apps.common.errors import LunaError
from apps.monitoring.counting import count_estimations
from apps.recognition.engine import mesh
from apps.recognition.engine.core import Engine
from apps.recognition.engine.decode import decode
from apps.recognition.engine.detection import Detection
from apps.recognition.engine.exif import read_exif
from apps.recognition.engine.geometry import Matrix
from apps.recognition.engine.mesh import Mesh
from apps.recognition.engine.warps import cut_warp
from apps.recognition.estimators.base import (
    AnyEstimator,
    BodyEstimator,
    BodySubject,
    Estimator,
    Scene,
    SceneEstimator,
    Subject,
)
from apps.recognition.estimators.registry import all_estimators, ordered, without_network
from apps.recognition.run.bodies import body_of_warp, find_bodies, joined
from apps.recognition.run.faces import FaceFinder
from apps.recognition.run.networks import EngineNetworks
from apps.recognition.switches import BODY_DETECTOR, BODY_WARP, FACE_DETECTOR, FACE_WARP, HUMAN_DETECTOR
from apps.recognition.types import (
    WARP_SIZE_PX,
    Body,
    Face,
    Image,
    ImageInput,
    ImageResult,
    ImageType,
    MultifacePolicy,
    Plan,
    Rect,
)
from apps.recognition.vocabulary import ESTIMATIONS, Kind

DESCRIPTOR_TASKS = ("face_descriptor", "body_descriptor")  # task and estimator have the same name
IDENTITY: Matrix = np.array([[1.0, 0, 0], [0, 1.0, 0]])
NO_WARP: Image = np.zeros((0, 0, 3), np.uint8)


class Pipeline:
    """Resolved plan that processes any number of pictures.

    Raises LunaError ESTIMATOR_NOT_INITIALIZED or UNSUPPORTED_DESCRIPTOR_VERSION for a plan that cannot be executed.
    """

    def __init__(self, engine: Engine, plan: Plan) -> None:
        if plan.detect_body and not {"object_detector", "body_pose"} <= engine.tasks.keys():
            raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, "human_body")
        _check_warps(plan, engine.config.off)
        self._engine = engine
        self._plan = plan
        missing = without_network(plan.optional & plan.estimators, engine.tasks, engine.config.off)
        self._missing = {kind: _nothing_of(kind, missing) for kind in Kind}
        wanted = plan.estimators - missing
        ordered(wanted, engine.tasks, engine.config.off)  # rejects unavailable estimators before the detection
        self._names = {kind: _names_of(kind, plan, wanted) for kind in (Estimator, BodyEstimator, SceneEstimator)}
        self._estimators = ordered(frozenset().union(*self._names.values()), engine.tasks)
        self._wants_faces = plan.detect_face or any(
            isinstance(each, SceneEstimator) or (isinstance(each, BodyEstimator) and each.faces)
            for each in self._estimators
        )
        self._wants_bodies = plan.detect_body or bool(self._names[SceneEstimator])
        self._descriptor_networks = _descriptor_networks(engine, plan)

    def process(self, item: ImageInput) -> ImageResult:
        """Return the faces and bodies of one picture, best first (score × area), or the error of this picture.

        With the policy BEST the result is the person with the best face; if there is no face, the best body.
        `stage_ms` holds decode, detect, detect_bodies and every estimator of faces and bodies. `networks` is the part
        of their sum that was spent in calls of networks. Raises LunaError with status 503 if the engine is overloaded,
        ESTIMATOR_NOT_INITIALIZED if a necessary detector is switched off.
        """
        if item.image_type is ImageType.RAW:
            _check_detectors(self._plan, self._engine.config.off)
        run = EngineNetworks(self._engine, self._descriptor_networks, self._engine.deadline())
        started = time.perf_counter()
        try:
            result = self._process(item, run)
        except LunaError as error:
            if error.status == 503:
                raise
            result = ImageResult(item.filename, error=error)
        run.clock.stage_ms["total"] = (time.perf_counter() - started) * 1e3
        return _with_times(result, run.clock.stage_ms)

    def _process(self, item: ImageInput, run: EngineNetworks) -> ImageResult:
        plan, config = self._plan, self._engine.config
        is_warp = item.image_type is not ImageType.RAW
        with run.clock.stage("decode"):
            decoded = decode(
                item.data,
                max_bytes=config.max_image_bytes,
                max_pixels=config.max_image_pixels,
                use_exif=plan.use_exif and not is_warp,
            )
        image, faces, bodies = self._detected(decoded.pixels, item, run)
        scene = Scene(image, faces, bodies)
        of_scene = {each.name: each.estimate(scene) for each in self._estimators if isinstance(each, SceneEstimator)}
        faces, bodies = self._selected(faces, bodies, item.filename)
        self._estimate(faces, bodies, run)
        self._count(len(faces), len(bodies))
        return ImageResult(
            filename=item.filename,
            width=image.shape[1],
            height=image.shape[0],
            faces=tuple(self._face(face) for face in faces) if plan.detect_face else (),
            bodies=tuple(self._body(body, faces) for body in bodies),
            estimations=MappingProxyType(of_scene | self._missing[Kind.PICTURE]),
            exif=MappingProxyType(read_exif(decoded.exif)) if plan.extract_exif else None,
        )

    def _detected(
        self, image: Image, item: ImageInput, run: EngineNetworks
    ) -> tuple[Image, list[Subject], list[BodySubject]]:
        """Return the picture, rotated if its faces are rotated, with its faces and bodies."""
        faces: list[Subject] = []
        bodies: list[BodySubject] = []
        if self._wants_faces and item.image_type is not ImageType.BODY_WARP:
            with run.clock.stage("detect"):
                image, faces = self._faces(image, item, run)
        if self._wants_bodies and item.image_type is not ImageType.FACE_WARP:
            with run.clock.stage("detect_bodies"):
                if item.image_type is ImageType.BODY_WARP:
                    bodies = [body_of_warp(image, run)]
                else:
                    bodies = find_bodies(
                        image,
                        item.body_boxes,
                        trusted=item.trusted_boxes,
                        networks=run,
                        faces=len(faces),
                        score=self._engine.config.body_score,
                    )
                if self._wants_faces:
                    bodies = joined(faces, bodies)
        return image, faces, bodies

    def _faces(self, image: Image, item: ImageInput, run: EngineNetworks) -> tuple[Image, list[Subject]]:
        config = self._engine.config
        finder = FaceFinder(self._engine.head, run, config)
        if item.image_type is ImageType.FACE_WARP:
            return image, _warp_subjects(image, item, finder)
        if item.face_boxes:
            found = [finder.in_box(image, box, trusted=item.trusted_boxes) for box in item.face_boxes]
            detections = [each for each in found if each is not None]
        else:
            image, detections = finder.find(image, rotate=config.auto_rotation and not item.body_boxes)
        return image, [
            _subject(image, detected, face, finder)
            for detected, face in zip(detections, finder.meshes(image, detections), strict=True)
            if finder.is_face(detected, face) or (item.face_boxes and item.trusted_boxes)
        ]

    def _selected(
        self, faces: list[Subject], bodies: list[BodySubject], filename: str
    ) -> tuple[list[Subject], list[BodySubject]]:
        """Return the faces and bodies of the plan, best first. A plan without faces keeps the faces of its bodies."""
        plan = self._plan
        threshold = plan.score_threshold or 0.0
        faces = sorted((each for each in faces if each.score >= threshold), key=_prominence, reverse=True)
        bodies = sorted((each for each in bodies if each.score >= threshold), key=_prominence, reverse=True)
        bodies = bodies if plan.detect_body else []
        if plan.multiface is MultifacePolicy.NOT_ALLOWED:
            for found, code in (
                (faces if plan.detect_face else [], errors.MULTIPLE_FACES_FOUND),
                (bodies, errors.MULTIPLE_BODIES_FOUND),
            ):
                if len(found) > 1:
                    raise LunaError(code, filename, json.dumps([_rect(each).json() for each in found]))
        if plan.multiface is MultifacePolicy.BEST:
            if faces and plan.detect_face:
                faces = faces[:1]
                bodies = [body for body in bodies if body.face is faces[0]]
            bodies = bodies[:1]
        if not plan.detect_face:
            faces = [body.face for body in bodies if body.face is not None]
        return faces, bodies

    def _estimate(self, faces: list[Subject], bodies: list[BodySubject], run: EngineNetworks) -> None:
        for estimator in self._estimators:
            if isinstance(estimator, Estimator) and faces:
                with run.clock.stage(estimator.name):
                    _note(estimator.name, faces, estimator.estimate(faces, run))
        for estimator in self._estimators:
            if isinstance(estimator, BodyEstimator) and bodies:
                with run.clock.stage(estimator.name):
                    _note(estimator.name, bodies, estimator.estimate(bodies, run))

    def _count(self, faces: int, bodies: int) -> None:
        """Count the requested estimations for the statistics."""
        names = self._names
        numbers = (names[Estimator], faces), (names[BodyEstimator], bodies), (names[SceneEstimator], 1)
        count_estimations({ESTIMATIONS[each].statistic: number for kind, number in numbers if number for each in kind})

    def _face(self, subject: Subject) -> Face:
        public = {name: subject.results[name] for name in self._names[Estimator]} | self._missing[Kind.FACE]
        return Face(
            rect=_rect(subject),
            score=subject.score,
            landmarks5=subject.landmarks5,
            warp=subject.warp if self._plan.warp else NO_WARP,
            warp_landmarks5=subject.warp_landmarks5,
            estimations=MappingProxyType(public),
        )

    def _body(self, subject: BodySubject, faces: Sequence[Subject]) -> Body:
        """Build the result of a body. `face_index` is None if the plan does not detect faces."""
        number = next((index for index, face in enumerate(faces) if face is subject.face), None)
        return Body(
            rect=_rect(subject),
            score=subject.score,
            keypoints=subject.keypoints,
            warp=subject.warp if self._plan.body_warp else NO_WARP,
            face_index=number if self._plan.detect_face else None,
            estimations=MappingProxyType(
                {name: subject.results[name] for name in self._names[BodyEstimator]} | self._missing[Kind.BODY]
            ),
        )


def _note(name: str, subjects: Sequence[Subject | BodySubject], results: Sequence[object | None]) -> None:
    for subject, result in zip(subjects, results, strict=True):
        subject.results[name] = result


def _nothing_of(kind: Kind, names: Collection[str]) -> dict[str, object]:
    """Return None for each of the estimations of this kind."""
    return dict.fromkeys(name for name in names if ESTIMATIONS[name].kind is kind)


def _names_of(kind: type[AnyEstimator], plan: Plan, estimators: Collection[str]) -> frozenset[str]:
    """Return the estimators of this kind; none if the plan does not detect the kind."""
    wanted = {Estimator: plan.detect_face, BodyEstimator: plan.detect_body}.get(kind, True)
    known = all_estimators()
    return frozenset(name for name in estimators if wanted and isinstance(known[name], kind))


def _check_warps(plan: Plan, off: Collection[str]) -> None:
    for name, wanted in ((FACE_WARP, plan.detect_face and plan.warp), (BODY_WARP, plan.detect_body and plan.body_warp)):
        if wanted and name in off:
            raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, name)


def _check_detectors(plan: Plan, off: Collection[str]) -> None:
    """Raise for a necessary detector that is off. The human detector covers faces and bodies together."""
    if plan.detect_face and plan.detect_body and HUMAN_DETECTOR not in off:
        return
    for name, wanted in ((FACE_DETECTOR, plan.detect_face), (BODY_DETECTOR, plan.detect_body)):
        if wanted and name in off:
            raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, name)


def _descriptor_networks(engine: Engine, plan: Plan) -> dict[str, str]:
    """Return the descriptor networks by task, those of the plan's version if it names one.

    Raises LunaError UNSUPPORTED_DESCRIPTOR_VERSION.
    """
    networks = {task: engine.tasks[task] for task in DESCRIPTOR_TASKS if task in engine.tasks}
    if plan.descriptor_version is not None:
        network = engine.descriptor_networks().get(plan.descriptor_version)
        task = None if network is None else engine.manifest(network).task
        if network is None or task not in plan.estimators:
            raise LunaError(errors.UNSUPPORTED_DESCRIPTOR_VERSION, plan.descriptor_version)
        networks[task] = network
    return networks


def _with_times(result: ImageResult, stage_ms: dict[str, float]) -> ImageResult:
    return replace(result, stage_ms=MappingProxyType({name: round(value, 3) for name, value in stage_ms.items()}))


def _prominence(subject: Subject | BodySubject) -> float:
    width, height = subject.box[2:] - subject.box[:2]
    return float(subject.score * width * height)


def _rect(subject: Subject | BodySubject) -> Rect:
    """Return the box in whole pixels, clipped to the picture."""
    height, width = subject.image.shape[:2]
    left, top, right, bottom = (round(float(value)) for value in subject.box)
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return Rect(left, top, max(min(right, width) - left, 1), max(min(bottom, height) - top, 1))


def _subject(image: Image, detected: Detection, face: Mesh, finder: FaceFinder) -> Subject:
    landmarks5 = finder.landmarks5(detected, face)
    warp, warp_landmarks5, matrix = cut_warp(image, landmarks5)
    return Subject(
        image=image,
        box=detected.box,
        score=detected.score,
        landmarks5=landmarks5,
        warp=warp,
        warp_landmarks5=warp_landmarks5,
        warp_matrix=matrix,
        results={"mesh": face},
    )


def _warp_subjects(image: Image, item: ImageInput, finder: FaceFinder) -> list[Subject]:
    """Return the face of a face warp: by known landmarks, by detection, or at the standard position in warps.

    Raises LunaError WRONG_IMAGE_SIZE for another size, NO_RECTANGLE_FOR_WARP for boxes, INVALID_DETECTION if the warp
    shows no face.
    """
    if image.shape[:2] != (WARP_SIZE_PX, WARP_SIZE_PX):
        raise LunaError(errors.WRONG_IMAGE_SIZE, f"{WARP_SIZE_PX}x{WARP_SIZE_PX}")
    if item.face_boxes:
        raise LunaError(errors.NO_RECTANGLE_FOR_WARP)
    if item.landmarks5 is not None:
        return [_warp_subject(image, np.asarray(item.landmarks5, np.float32), 1.0, {})]
    detections = finder.find(image, rotate=False)[1]
    detected = detections[0] if detections else Detection.upright(np.array([30, 30, 220, 220], np.float32))
    (face,) = finder.meshes(image, [detected])
    if not (detections and finder.is_face(detected, face)) and face.flag < mesh.FLAG_THRESHOLD:
        raise LunaError(errors.INVALID_DETECTION, "no face in the warp")
    return [_warp_subject(image, finder.landmarks5(detected, face), detected.score, {"mesh": face})]


def _warp_subject(image: Image, landmarks5: NDArray[np.float32], score: float, results: dict[str, object]) -> Subject:
    whole = np.array([0, 0, WARP_SIZE_PX, WARP_SIZE_PX], np.float32)
    return Subject(image, whole, score, landmarks5, image, landmarks5, IDENTITY, results)
