"""Networks that give one score a label: the labels are named in the manifest, in the network's order."""

from collections.abc import Mapping, Sequence

import numpy as np

from apps.recognition.engine.geometry import resample, square_transform
from apps.recognition.engine.mesh import bounding_box
from apps.recognition.estimators.base import Networks, Subject
from apps.recognition.estimators.crops import mesh_in_warp


def label_scores(subjects: Sequence[Subject], networks: Networks, task: str) -> list[Mapping[str, float]]:
    """For every face the scores 0..1 of the labels of the task's network, from its first output.

    The network sees the square around the mesh, grown by the manifest's `crop_scale`, cut from the warp.
    """
    network = networks.for_task(task)
    output = network.outputs[0]
    crops = []
    for subject in subjects:
        box = bounding_box(mesh_in_warp(subject))
        side = float(max(box[2] - box[0], box[3] - box[1])) * network.input.crop_scale
        matrix = square_transform((box[:2] + box[2:]) / 2, side, 0.0, network.input.width)
        crops.append(resample(subject.warp, matrix, network.input.width))
    raw = networks.run(network.name, np.stack(crops))[output.name].reshape(len(subjects), -1)
    rows = output.activated(raw)
    return [dict(zip(output.labels, map(float, row), strict=True)) for row in rows]
