"""The descriptor of a face: the descriptor network on the warp's aligned crop and its mirror image, mean, length 1.

It depends on the warp and the five points in it alone. Its score says how well the warp suits recognition: the
geometric mean of sharpness, light, and how far the face looks ahead (the nose between the eyes). Not a
probability: on 58 faces portraits have .9 and more, faces with 20 px between the eyes or in profile .6 and less.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import Descriptor, base64_encode, normalised, sdk_encode, versions
from apps.recognition.engine.warps import aligned_crops, check_alignment
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.measures import luminance, sharpness, sigmoid
from apps.recognition.estimators.shapes import Json
from apps.recognition.types import Image, Points

DARK_LUMINANCE, LUMINANCE_WIDTH = 0.2, 0.05  # as `dark` of the quality block
PROFILE_NOSE_OFFSET, NOSE_OFFSET_WIDTH = 0.45, 0.08  # eye distances from the middle of the eyes


class FaceDescriptorEstimator(Estimator):
    """One run of the plan's descriptor network a face, two where its manifest averages the mirror image."""

    name = "face_descriptor"
    tasks = ("face_descriptor",)
    result = Descriptor

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Descriptor]:
        """Of every face."""
        network = networks.for_descriptor(self.name)
        spec = network.descriptor
        assert spec is not None  # noqa: S101 (a manifest of this task has one; checked when it is read)
        alignment = check_alignment(network.name, spec.alignment)
        warps = [subject.warp for subject in subjects]
        points = [subject.warp_landmarks5 for subject in subjects]
        raw = networks.run(network.name, aligned_crops(warps, points, alignment))[network.outputs[0].name]
        vectors = unit_vectors(raw.reshape(-1, len(subjects), spec.dimension).mean(0))
        return [
            Descriptor(spec.version, vector, suitability(warp, five))
            for vector, warp, five in zip(vectors, warps, points, strict=True)
        ]

    def json(self, result: Descriptor) -> Json:
        """`{sdk_descriptor, score}`: Base64 of the SDK's form."""
        return descriptor_json(result)

    def mean(self, results: Sequence[Descriptor]) -> Descriptor:
        """The mean vector at length 1, the mean score."""
        return mean_descriptor(results)


def descriptor_json(descriptor: Descriptor) -> Json:
    """`{sdk_descriptor, score}` of a face or a body."""
    data = sdk_encode(descriptor.vector, versions.get(descriptor.version))
    score = None if descriptor.score is None else shapes.score(descriptor.score)
    return {"sdk_descriptor": base64_encode(data), "score": score}


def mean_descriptor(descriptors: Sequence[Descriptor]) -> Descriptor:
    """One descriptor for several of one person and version: the mean vector at length 1, the mean of known scores."""
    vector = normalised(np.mean([each.vector for each in descriptors], axis=0))
    scores = [each.score for each in descriptors if each.score is not None]
    return Descriptor(descriptors[0].version, vector, float(np.mean(scores)) if scores else None)


def unit_vectors(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows [N, dimension] at length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def suitability(warp: Image, landmarks5: Points) -> float:
    """The descriptor's score for a warp and its five points."""
    middle, across = landmarks5[:2].mean(0), landmarks5[1] - landmarks5[0]
    distance = max(float(np.linalg.norm(across)), 1.0)
    nose_offset = abs(float((landmarks5[2] - middle) @ across)) / distance**2
    ahead = sigmoid(nose_offset, PROFILE_NOSE_OFFSET, -NOSE_OFFSET_WIDTH)
    light = sigmoid(float(luminance(warp[60:210:2, 60:190:2]).mean()), DARK_LUMINANCE, LUMINANCE_WIDTH)
    return float(np.cbrt(sharpness(warp) * light * ahead))


ESTIMATOR = FaceDescriptorEstimator()
