"""JSON blocks of faces and their estimations, the same in every resource that answers with them.

What an estimator does not say (mouth occluded, ethnicity) is null. Angles and scores are rounded: what lies beyond is
noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from apps.common import errors
from apps.common.errors import LunaError, error_body
from apps.recognition.checks.evaluate import CheckReport
from apps.recognition.estimators.basic_attributes import BasicAttributes
from apps.recognition.estimators.deepfake import Deepfake
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.eyes_attributes import EyeAttributes, EyesAttributes
from apps.recognition.estimators.face_occlusion import FaceOcclusion
from apps.recognition.estimators.gaze import Gaze
from apps.recognition.estimators.glasses import Glasses
from apps.recognition.estimators.head_pose import HeadPose
from apps.recognition.estimators.landmarks68 import Landmarks68
from apps.recognition.estimators.liveness import Liveness, Prediction
from apps.recognition.estimators.mask import Mask
from apps.recognition.estimators.mouth_attributes import MouthAttributes
from apps.recognition.estimators.quality import Quality
from apps.recognition.request.screening import Reason
from apps.recognition.types import Face

Json = dict[str, object]


def status_block(filename: str, error: LunaError | None) -> Json:
    """`{filename, status, error}`: status 1 went well, 0 failed."""
    return {
        "filename": filename,
        "status": int(error is None),
        "error": error_body(errors.SUCCESS) if error is None else error.body(),
    }


def reasons_block(reasons: Sequence[Reason]) -> list[Json]:
    """`filter_reasons`."""
    return [
        {
            "filter_name": reason.filter_name,
            "object_value": reason.object_value,
            "threshold_value": reason.threshold_value,
        }
        for reason in reasons
    ]


def shown_detection(face: Face, shown: frozenset[str]) -> dict[str, object]:
    """The detection with the estimations that were asked for, not those that filters needed."""
    return detection_block(replace(face, estimations=shown_estimations(face.estimations, shown)))


def shown_estimations(estimations: Mapping[str, object], shown: frozenset[str]) -> dict[str, object]:
    return {name: value for name, value in estimations.items() if name in shown}


def detection_block(face: Face) -> Json:
    """`detection` of a face: rectangle, landmarks, quality and the estimated attributes; null for the rest."""
    found = face.estimations
    return {
        "rect": face.rect.json(),
        "score": _score(face.score),
        "landmarks5": points_block(face.landmarks5),
        "landmarks68": estimation_block("landmarks68", found.get("landmarks68")),
        "quality": estimation_block("quality", found.get("quality")),
        "attributes": attributes_block(found),
        "face_quality": estimation_block("face_quality", found.get("face_quality")),
    }


def attributes_block(estimations: Mapping[str, object]) -> Json:
    """The estimated ones of `ATTRIBUTES`, by name."""
    return {name: estimation_block(name, estimations[name]) for name in ATTRIBUTES if name in estimations}


def estimation_block(name: str, value: object) -> object:
    """The block of any estimation by its API name; None stays null. Raises TypeError for another estimator's value."""
    if value is None:
        return None
    kind, shape = _SHAPES[name]
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    return shape(value)


def points_block(points: NDArray[np.float32]) -> list[list[int]]:
    """Points as `[x, y]` in whole pixels."""
    return [[int(x), int(y)] for x, y in np.rint(points)]


def _score(value: float) -> float:
    return round(value, 4)


def _degrees(value: float) -> float:
    return round(value, 2)


def _landmarks68(value: Landmarks68) -> list[list[int]]:
    return points_block(value.points)


def _head_pose(value: HeadPose) -> Json:
    return {"pitch": _degrees(value.pitch), "roll": _degrees(value.roll), "yaw": _degrees(value.yaw)}


def _gaze(value: Gaze) -> Json:
    return {"pitch": _degrees(value.pitch), "yaw": _degrees(value.yaw)}


def _quality(value: Quality) -> Json:
    return {
        "blurriness": _score(value.blurriness),
        "dark": _score(value.dark),
        "illumination": _score(value.illumination),
        "specularity": _score(value.specularity),
        "light": _score(value.light),
    }


def _emotions(value: Emotions) -> Json:
    return {
        "predominant_emotion": value.predominant,
        "estimations": {name: _score(score) for name, score in value.scores.items()},
    }


def _eye(value: EyeAttributes) -> Json:
    return {
        "state": value.state.value,
        "iris_landmarks": points_block(value.iris),
        "eyelid_landmarks": points_block(value.eyelid),
    }


def _eyes_attributes(value: EyesAttributes) -> Json:
    return {"left_eye": _eye(value.left_eye), "right_eye": _eye(value.right_eye)}


def _mouth_attributes(value: MouthAttributes) -> Json:
    kinds = {"none": 1 - value.smile, "regular": value.regular, "with_teeth": value.with_teeth}
    predominant: str = max(kinds, key=lambda kind: kinds[kind])
    return {
        "opened": _score(value.opened),
        "occluded": None if value.occluded is None else _score(value.occluded),
        "smile": _score(value.smile),
        "properties": {
            "smile_type": {
                "predominant_type": predominant,
                "estimations": {"regular": _score(value.regular), "with_teeth": _score(value.with_teeth)},
            }
        },
    }


def _basic_attributes(value: BasicAttributes) -> Json:
    ethnicities = None
    if value.ethnicities is not None:
        scores = _scores(value.ethnicities.scores)
        ethnicities = {"predominant_ethnicity": value.ethnicities.predominant, "estimations": scores}
    return {"age": value.age, "gender": value.gender, "ethnicities": ethnicities}


def _scores(scores: Mapping[str, float]) -> Json:
    return {name: _score(score) for name, score in scores.items()}


def _mask(value: Mask) -> Json:
    occlusion = None
    if value.occlusion is not None:
        occlusion = {"predominant_occlusion": value.predominant_occlusion, "estimations": _scores(value.occlusion)}
    return {
        "predominant_mask": value.predominant,
        "estimations": _scores(value.scores),
        "face_occlusion": occlusion,
    }


def _glasses(value: Glasses) -> Json:
    return {"glasses": value.predominant}


def liveness_number_block(value: Liveness) -> Json:
    """`{prediction: 0 spoof, 1 real, 2 unknown, estimations: {probability, quality}}`, as /6/liveness answers."""
    return {
        "prediction": list(Prediction).index(value.predominant),
        "estimations": {"probability": _score(value.probability), "quality": _score(value.quality)},
    }


def liveness_block(value: Liveness) -> Json:
    """`{prediction, estimations}` with the word of the prediction; the probability under both names in use."""
    probability = _score(value.probability)
    return {
        "prediction": value.predominant.value,
        "estimations": {"probability": probability, "score": probability, "quality": _score(value.quality)},
    }


def _deepfake(value: Deepfake) -> Json:
    return {"prediction": value.predominant, "score": _score(value.score)}


def _face_occlusion(value: FaceOcclusion) -> Json:
    return {
        "prediction": int(any(value.occluded.values())),
        "estimations": {
            "overall_score": _score(value.overall),
            **{f"{part}_score": _score(score) for part, score in value.scores.items()},
        },
        "face_occlusion": {f"{part}_occluded": int(occluded) for part, occluded in value.occluded.items()},
    }


def checks_block(value: CheckReport) -> Json:
    """`{status, checks}`: status 1 where all passed."""
    return {
        "status": int(value.passed),
        "checks": [
            {
                "name": check.name,
                "object_value": check.value,
                "threshold_value": check.threshold.json(),
                "result": int(check.passed),
            }
            for check in value.checks
        ],
    }


_SHAPES: dict[str, tuple[type, Callable[..., object]]] = {
    "landmarks68": (Landmarks68, _landmarks68),
    "quality": (Quality, _quality),
    "head_pose": (HeadPose, _head_pose),
    "gaze": (Gaze, _gaze),
    "eyes_attributes": (EyesAttributes, _eyes_attributes),
    "mouth_attributes": (MouthAttributes, _mouth_attributes),
    "emotions": (Emotions, _emotions),
    "basic_attributes": (BasicAttributes, _basic_attributes),
    "mask": (Mask, _mask),
    "glasses": (Glasses, _glasses),
    "liveness": (Liveness, liveness_block),
    "deepfake": (Deepfake, _deepfake),
    "face_occlusion": (FaceOcclusion, _face_occlusion),
    "face_quality": (CheckReport, checks_block),
}

# The estimations that `attributes` of a detection holds; the others have places of their own.
ATTRIBUTES = (
    "head_pose", "gaze", "eyes_attributes", "mouth_attributes", "emotions", "mask", "glasses", "liveness", "deepfake",
    "face_occlusion",
)  # fmt: skip
