"""Registry of the estimators of this package, and their order in a plan."""

import importlib
import pkgutil
from collections.abc import Collection, Mapping
from functools import lru_cache
from types import MappingProxyType

from apps.common import errors
from apps.common.errors import LunaError
from apps.recognition import estimators as package
from apps.recognition.estimators.base import AnyEstimator
from apps.recognition.vocabulary import ESTIMATIONS

IMAGE_CHECKS = "face_quality"  # not an estimator: computed from results of several estimators


@lru_cache(maxsize=1)
def all_estimators() -> Mapping[str, AnyEstimator]:
    """Return all estimators by name."""
    found: dict[str, AnyEstimator] = {}
    for module in pkgutil.iter_modules(package.__path__):
        estimator = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "ESTIMATOR", None)
        if isinstance(estimator, AnyEstimator):
            found[estimator.name] = estimator
    return MappingProxyType(found)


def ordered(names: Collection[str], tasks: Collection[str], off: Collection[str] = ()) -> tuple[AnyEstimator, ...]:
    """Return the estimators of the public `names` with all dependencies, in the order of dependencies.

    `tasks`: tasks with an installed network. `off`: names that are switched off. Raises LunaError
    ESTIMATOR_NOT_INITIALIZED with the requested name if the estimator is unknown or off, or a network is missing.
    """
    known = all_estimators()
    order: dict[str, AnyEstimator] = {}

    def visit(name: str, asked_for: str) -> None:
        estimator = known.get(name)
        if estimator is None or not set(estimator.tasks) <= set(tasks):
            raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, asked_for)
        for need in (*estimator.needs, *(want for want in estimator.wants if set(known[want].tasks) <= set(tasks))):
            visit(need, asked_for)
        order.setdefault(name, estimator)

    for name in sorted(names):
        if name in off or (name in known and not known[name].public):
            raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, name)
        visit(name, name)
    return tuple(order.values())


def available(tasks: Collection[str], off: Collection[str] = ()) -> frozenset[str]:
    """Return the public estimators that are on and have all networks installed."""
    return _available(frozenset(tasks), frozenset(off))


def without_network(names: Collection[str], tasks: Collection[str], off: Collection[str] = ()) -> frozenset[str]:
    """Return those of `names` that are estimations, are on, and need a task that is not in `tasks`."""
    return frozenset(names).intersection(ESTIMATIONS) - available(tasks) - frozenset(off) - {IMAGE_CHECKS}


@lru_cache(maxsize=8)
def _available(tasks: frozenset[str], off: frozenset[str]) -> frozenset[str]:
    names = set()
    for name, estimator in all_estimators().items():
        try:
            ordered([name], tasks, off)
        except LunaError:
            continue
        if estimator.public:
            names.add(name)
    return frozenset(names)
