"""Vectors and attributes of faces."""

import numpy as np

from apps.common.descriptors import Descriptor, Vector, normalised
from apps.faces.types import AttributeData, BasicData

VERSION = 77


def unit_vector(seed: int, dimension: int = 128) -> Vector:
    return normalised(np.random.default_rng(seed).standard_normal(dimension))


def attribute_data(seed: int = 0, *versions: int) -> AttributeData:
    return AttributeData(
        descriptors=tuple(Descriptor(version, unit_vector(seed), 0.9) for version in versions or (VERSION,)),
        basic=BasicData(age=33, gender=0, ethnicity=4),
    )
