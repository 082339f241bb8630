"""Join what estimators say: one set of estimations for several pictures of one person, and the event's columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.recognition.estimators.registry import all_estimators
from apps.recognition.vocabulary import ESTIMATIONS


def aggregate(estimations: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the means of the estimations of one person's faces, or bodies, by name.

    An estimation that no picture has, or whose estimator averages none, is left out.
    """
    means: dict[str, object] = {}
    for name in dict.fromkeys(name for found in estimations for name in found):
        results = [result for found in estimations if (result := found.get(name)) is not None]
        estimator = all_estimators().get(name)
        if estimator is not None and results and (mean := estimator.mean(results)) is not None:
            means[name] = mean
    return means


def event_columns(estimations: Mapping[str, object]) -> dict[str, Any]:
    """Return the columns of an event that these estimations fill, with their numbers; the others are left out."""
    columns: dict[str, Any] = {}
    for name, result in estimations.items():
        if result is not None and name in ESTIMATIONS and ESTIMATIONS[name].columns:
            columns |= all_estimators()[name].columns(result)
    return columns
