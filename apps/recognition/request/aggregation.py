"""Aggregation of estimations of one person's pictures, and their conversion to columns of an event."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.recognition.estimators.registry import all_estimators
from apps.recognition.vocabulary import ESTIMATIONS


def aggregate(estimations: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the means of the estimations of one person's faces or bodies, by name.

    An estimation without a value, or whose estimator defines no mean, is omitted.
    """
    means: dict[str, object] = {}
    for name in dict.fromkeys(name for found in estimations for name in found):
        results = [result for found in estimations if (result := found.get(name)) is not None]
        estimator = all_estimators().get(name)
        if estimator is not None and results and (mean := estimator.mean(results)) is not None:
            means[name] = mean
    return means


def event_columns(estimations: Mapping[str, object]) -> dict[str, Any]:
    """Return the columns of an event that these estimations fill; other columns are omitted."""
    columns: dict[str, Any] = {}
    for name, result in estimations.items():
        if result is not None and name in ESTIMATIONS and ESTIMATIONS[name].columns:
            columns |= all_estimators()[name].columns(result)
    return columns
