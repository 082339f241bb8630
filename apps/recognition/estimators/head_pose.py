"""Head pose by the axes ear to ear and forehead to chin of the three-dimensional mesh.

Angles are those of R = Rz(roll) · Ry(yaw) · Rx(pitch). Positive yaw turns to the image's right, positive pitch up,
positive roll tilts to the image's right (clockwise).
The forehead of the mesh is behind its chin: a face that looks straight ahead measures −6° (median of 15 frontal
photographs), which is corrected. The mesh flattens profiles, so yaw above about 45° is underestimated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from apps.recognition.engine.mesh import CHIN, Mesh
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject

LEFT_EAR, RIGHT_EAR, FOREHEAD = 234, 454, 10
PITCH_OF_FRONTAL_DEG = -6.0


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head pose in degrees, −180..180."""

    pitch: float
    yaw: float
    roll: float


class HeadPoseJson(TypedDict):
    """Angles in degrees."""

    pitch: float
    roll: float
    yaw: float


class HeadPoseEstimator(Estimator):
    """Estimator by geometry, without a network of its own."""

    name = "head_pose"
    needs = ("mesh",)
    result = HeadPose

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[HeadPose]:
        """Estimate each face."""
        return [head_pose(subject.result("mesh", Mesh)) for subject in subjects]

    def json(self, result: HeadPose) -> HeadPoseJson:
        """Return `{pitch, roll, yaw}`."""
        return {
            "pitch": shapes.degrees(result.pitch),
            "roll": shapes.degrees(result.roll),
            "yaw": shapes.degrees(result.yaw),
        }


def head_pose(mesh: Mesh) -> HeadPose:
    """Return the pose of one mesh."""
    across = mesh.shape[RIGHT_EAR] - mesh.shape[LEFT_EAR]
    across /= np.linalg.norm(across)
    down = mesh.shape[CHIN] - mesh.shape[FOREHEAD]
    down -= across * (down @ across)
    down /= np.linalg.norm(down)
    yaw = np.arcsin(np.clip(across[2], -1, 1))
    pitch = np.arcsin(np.clip(-down[2] / max(np.cos(yaw), 1e-6), -1, 1))
    crop_turned = np.arctan2(-mesh.matrix[1, 0], mesh.matrix[0, 0])
    roll = np.degrees(np.arctan2(across[1], across[0]) + crop_turned)
    return HeadPose(
        pitch=float(np.degrees(pitch)) - PITCH_OF_FRONTAL_DEG,
        yaw=float(np.degrees(yaw)),
        roll=float((roll + 180) % 360 - 180),
    )


ESTIMATOR = HeadPoseEstimator()
