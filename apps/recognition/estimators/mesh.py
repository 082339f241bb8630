"""Face mesh, a step of other estimators.

A detected face already has its mesh. For a stored sample the mesh network runs on the warp, at the position of the five
landmarks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine import mesh as face_mesh
from apps.recognition.engine.geometry import Matrix, compose, resample, square_transform
from apps.recognition.engine.mesh import Mesh
from apps.recognition.engine.warps import warp_matrix
from apps.recognition.estimators.base import Estimator, Networks, Subject

# Mesh crop in the warp template, as detection would choose it: median of 58 faces.
CROP_CENTRE = (124.5, 130.0)
CROP_SIDE_PX = 205.0


class MeshEstimator(Estimator):
    """Estimator of the 468-point mesh (`apps.recognition.engine.mesh.Mesh`)."""

    name = "mesh"
    tasks = ("face_mesh",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Mesh]:
        """Return the mesh of the detection, or else around the five landmarks, without a check of its flag."""
        missing = [subject for subject in subjects if "mesh" not in subject.results]
        meshes = dict(zip(map(id, missing), self._found(missing, networks), strict=True)) if missing else {}
        return [meshes.get(id(subject)) or subject.result("mesh", Mesh) for subject in subjects]

    def _found(self, subjects: Sequence[Subject], networks: Networks) -> list[Mesh]:
        matrices = [mesh_crop_matrix(subject.landmarks5) for subject in subjects]
        crops = [
            resample(subject.image, matrix, face_mesh.SIZE_PX)
            for subject, matrix in zip(subjects, matrices, strict=True)
        ]
        return run_mesh(networks, np.stack(crops), matrices)


def mesh_crop_matrix(landmarks5: NDArray[np.float32]) -> Matrix:
    """Return the transform from the picture to the mesh crop for five landmarks [5, 2] of the picture."""
    crop = square_transform(CROP_CENTRE, CROP_SIDE_PX, 0.0, face_mesh.SIZE_PX)
    return compose(warp_matrix(landmarks5), crop)


def run_mesh(networks: Networks, crops: NDArray[np.uint8], matrices: Sequence[Matrix]) -> list[Mesh]:
    """Return the mesh of each crop, uint8 RGB [N, 192, 192, 3]. `matrices`: transforms from picture to crop."""
    outputs = networks.run(networks.for_task("face_mesh").name, crops)
    return [
        face_mesh.decode(raw, float(flag), matrix)
        for raw, flag, matrix in zip(outputs["mesh"], outputs["flag"].reshape(-1), matrices, strict=True)
    ]


ESTIMATOR = MeshEstimator()
