"""Mouth open, by the gap between the lips and by the smile."""

from typing import cast

import numpy as np
import pytest

from apps.recognition.engine.mesh import CHIN, EYE_CORNERS, Mesh
from apps.recognition.estimators.base import Networks, Subject
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.mouth_attributes import (
    LOWER_INNER_LIP,
    UPPER_INNER_LIP,
    MouthAttributes,
    MouthAttributesEstimator,
)

NO_NETWORKS = cast(Networks, None)


def mouth(gap: float, smile: float) -> MouthAttributes:
    """Of a mesh whose lips are `gap` apart, of the distance from the eyes to the chin."""
    shape = np.zeros((468, 3), np.float32)
    shape[[vertex for corners in EYE_CORNERS for vertex in corners], 1] = -60
    shape[CHIN, 1] = 40
    shape[list(UPPER_INNER_LIP), 1], shape[list(LOWER_INNER_LIP), 1] = 10, 10 + 100 * gap
    rest = (1 - smile) / 6
    emotions = Emotions(rest, rest, rest, smile, rest, rest, rest)
    nothing = np.zeros((1, 1, 3), np.uint8)
    results = {"mesh": Mesh(shape[:, :2], shape, 1.0, np.eye(2, 3)), "emotions": emotions}
    points = np.zeros((5, 2), np.float32)
    subject = Subject(nothing, np.zeros(4, np.float32), 1.0, points, nothing, points, np.eye(2, 3), results)
    (found,) = MouthAttributesEstimator().estimate([subject], NO_NETWORKS)
    return found


@pytest.mark.parametrize(
    ("gap", "smile", "is_open"),
    [
        (0.0, 0.0, False),
        (0.06, 0.1, False),  # the widest closed lips of a serious face
        (0.07, 0.0, True),
        (0.1, 0.45, True),
        (0.237, 0.2, True),
        (0.086, 1.0, False),  # bared teeth
        (0.143, 1.0, True),  # a laugh with the jaw down
    ],
)
def test_open_mouths(gap: float, smile: float, is_open: bool) -> None:
    assert (mouth(gap, smile).opened > 0.5) is is_open


@pytest.mark.parametrize("smile", [0.0, 0.6, 1.0])
def test_a_wider_gap_is_never_less_open(smile: float) -> None:
    scores = [mouth(gap, smile).opened for gap in np.linspace(0, 0.4, 40)]
    assert scores == sorted(scores)
    assert scores[0] < 0.05
    assert scores[-1] > 0.95
