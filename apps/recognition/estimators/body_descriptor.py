"""Body descriptor: unit vector of the body descriptor network on the 128×250 body warp, scaled to its input.

The embedded set has no network of the task `body_descriptor`; without one the estimator is unavailable. The score of
the descriptor is the detection score of the body.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from apps.common.descriptors import Descriptor
from apps.recognition.engine.geometry import ANTIALIAS_BELOW_SCALE
from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.face_descriptor import DescriptorJson, descriptor_json, mean_descriptor, unit_vectors
from apps.recognition.networks.specs import InputSpec
from apps.recognition.types import Image


class BodyDescriptorEstimator(BodyEstimator):
    """Estimator with one run of the network per body."""

    name = "body_descriptor"
    tasks = ("body_descriptor",)
    result = Descriptor

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[Descriptor]:
        """Estimate each body."""
        network = networks.for_descriptor(self.name)
        spec = network.descriptor
        assert spec is not None  # noqa: S101 (a manifest of this task has one; checked when it is read)
        crops = np.stack([_scaled(subject.warp, network.input) for subject in subjects])
        vectors = unit_vectors(networks.run(network.name, crops)[network.outputs[0].name])
        return [
            Descriptor(spec.version, vector, subject.score) for subject, vector in zip(subjects, vectors, strict=True)
        ]

    def json(self, result: Descriptor) -> DescriptorJson:
        """Return `{sdk_descriptor, score}`: Base64 of the SDK's form."""
        return descriptor_json(result)

    def mean(self, results: Sequence[Descriptor]) -> Descriptor:
        """Return the normalised mean vector with the mean score."""
        return mean_descriptor(results)


def _scaled(warp: Image, spec: InputSpec) -> Image:
    averaged = min(spec.width / warp.shape[1], spec.height / warp.shape[0]) < ANTIALIAS_BELOW_SCALE
    interpolation = cv2.INTER_AREA if averaged else cv2.INTER_LINEAR
    return cv2.resize(warp, (spec.width, spec.height), interpolation=interpolation)  # type: ignore[return-value]


ESTIMATOR = BodyDescriptorEstimator()
