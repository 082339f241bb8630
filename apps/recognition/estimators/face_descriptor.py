"""Face descriptor: normalised mean of the descriptor network's vectors of the aligned crop and its mirror image.

The descriptor and its score (`suitability`) depend only on the warp and its five landmarks.
"""

from collections.abc import Sequence
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import Descriptor, base64_encode, normalised, sdk_encode, versions
from apps.recognition.engine.heads import head_for
from apps.recognition.engine.warps import aligned_crops, check_alignment
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.suitability import detector_crops, suitability


class DescriptorJson(TypedDict):
    """A descriptor of a face or a body."""

    sdk_descriptor: Annotated[str, "Base64 of the descriptor's SDK form."]
    score: Annotated[float | None, "Suitability of the picture for recognition, 0 to 1."]


class FaceDescriptorEstimator(Estimator):
    """Estimator with one run of the plan's descriptor network per face, or two with mirror averaging."""

    name = "face_descriptor"
    tasks = ("face_descriptor",)
    result = Descriptor

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Descriptor]:
        """Estimate each face."""
        network = networks.for_descriptor(self.name)
        spec = network.descriptor
        assert spec is not None  # noqa: S101 (a manifest of this task has one; checked when it is read)
        alignment = check_alignment(network.name, spec.alignment)
        warps = [subject.warp for subject in subjects]
        points = [subject.warp_landmarks5 for subject in subjects]
        detector = networks.for_task("face_detector")
        head = head_for(detector)
        described = networks.start(network.name, aligned_crops(warps, points, alignment))
        detected = networks.start(detector.name, detector_crops(warps, head))
        scores = suitability(warps, points, detected, head)
        raw = described()[network.outputs[0].name]
        vectors = unit_vectors(raw.reshape(-1, len(subjects), spec.dimension).mean(0))
        return [Descriptor(spec.version, vector, score) for vector, score in zip(vectors, scores, strict=True)]

    def json(self, result: Descriptor) -> DescriptorJson:
        """Return `{sdk_descriptor, score}`: Base64 of the SDK's form."""
        return descriptor_json(result)

    def mean(self, results: Sequence[Descriptor]) -> Descriptor:
        """Return the normalised mean vector with the mean score."""
        return mean_descriptor(results)


def descriptor_json(descriptor: Descriptor) -> DescriptorJson:
    """Return `{sdk_descriptor, score}` of a face or a body."""
    data = sdk_encode(descriptor.vector, versions.get(descriptor.version))
    score = None if descriptor.score is None else shapes.score(descriptor.score)
    return {"sdk_descriptor": base64_encode(data), "score": score}


def mean_descriptor(descriptors: Sequence[Descriptor]) -> Descriptor:
    """Return the mean of descriptors of one person and version: normalised mean vector, mean of known scores."""
    vector = normalised(np.mean([each.vector for each in descriptors], axis=0))
    scores = [each.score for each in descriptors if each.score is not None]
    return Descriptor(descriptors[0].version, vector, float(np.mean(scores)) if scores else None)


def unit_vectors(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows [N, dimension] normalised to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


ESTIMATOR = FaceDescriptorEstimator()
