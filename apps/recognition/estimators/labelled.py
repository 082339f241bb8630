"""Networks with a score per label; the manifest names the labels in the network's order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recognition.estimators.base import Networks, Subject
from apps.recognition.estimators.crops import (
    eye_band_crops,
    eye_crops,
    face_box_crops,
    face_square_crops,
    mesh_crops,
    picture_crops,
)
from apps.recognition.networks.specs import InputSpec, Manifest

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Scores 0..1 by label."""

    scores: Scores

    @property
    def predominant(self) -> str:
        """Label with the highest score."""
        return max(self.scores, key=lambda label: self.scores[label])


def label_scores(subjects: Sequence[Subject], networks: Networks, task: str) -> list[Scores]:
    """Return the scores 0..1 of each face by label of the task's network.

    They are those of the output with the task's name, or else of the first output. With companions, the score of a
    label is the mean of the network's score and the companions' mean score.
    """
    network = networks.for_task(task)
    own = output_scores(subjects, networks, network, network.labelled_output.name)
    others = [
        output_scores(subjects, networks, member, member.labelled_output.name)
        for member in map(networks.manifest, network.companions)
    ]
    if not others:
        return own
    joined = [mean_scores(scores) for scores in zip(*others, strict=True)]
    return [mean_scores([mine, theirs]) for mine, theirs in zip(own, joined, strict=True)]


def output_scores(subjects: Sequence[Subject], networks: Networks, network: Manifest, name: str) -> list[Scores]:
    """Return the scores 0..1 of each face by label of one output of a network."""
    output = next(output for output in network.outputs if output.name == name)
    raw = networks.run(network.name, face_crops(subjects, network.input))[name]
    rows = output.activated(raw.reshape(len(subjects), -1))
    return [dict(zip(output.labels, map(float, row), strict=True)) for row in rows]


def face_crops(subjects: Sequence[Subject], spec: InputSpec) -> NDArray[np.uint8]:
    """Return the crops of the faces by `crop` and `crop_scale` of a manifest."""
    return _CROPS[spec.crop](subjects, spec)


_CROPS: Mapping[str, Callable[[Sequence[Subject], InputSpec], NDArray[np.uint8]]] = {
    "warp": lambda subjects, spec: mesh_crops(subjects, spec.crop_scale, spec.width),
    "picture": lambda subjects, spec: picture_crops(subjects, spec.crop_scale, spec.width, spec.height),
    "face": lambda subjects, spec: face_square_crops(subjects, spec.crop_scale, spec.width, spec.height),
    "face_box": lambda subjects, spec: face_box_crops(subjects, spec.crop_scale, spec.width, spec.height),
    "eyes": lambda subjects, spec: eye_crops(subjects, spec.width, spec.height),
    "eye_band": lambda subjects, spec: eye_band_crops(subjects, spec.width, spec.height),
}


def mean_scores(found: Sequence[Scores]) -> dict[str, float]:
    """Return the mean score of each label of the first item."""
    return {label: float(np.mean([each[label] for each in found])) for label in found[0]}


def centred(score: float, threshold: float) -> float:
    """Return a probability shifted in its logit, so that `threshold` maps to one half."""
    odds = score * (1 - threshold)
    return odds / (odds + (1 - score) * threshold)
