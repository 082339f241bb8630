"""Rounding of numbers in responses; further decimals would be noise."""

from collections.abc import Mapping

import numpy as np

from apps.recognition.types import Points

SCORE_DECIMALS, DEGREES_DECIMALS = 4, 2


def score(value: float) -> float:
    """Round a score 0..1."""
    return round(value, SCORE_DECIMALS)


def scores(values: Mapping[str, float]) -> dict[str, float]:
    """Round scores 0..1 by name."""
    return {name: score(value) for name, value in values.items()}


def degrees(value: float) -> float:
    """Round an angle in degrees."""
    return round(value, DEGREES_DECIMALS)


def pixels(points: Points) -> list[list[int]]:
    """Return points [N, 2] as `[x, y]` in whole pixels."""
    return [[int(x), int(y)] for x, y in np.rint(points)]
