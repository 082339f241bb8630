"""The settings that change in a running process, and the tests of their effects."""

import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from apps.common.config import GROUPS, Group, Scope
from tests.unit import live as package

Test = TypeVar("Test", bound=Callable[..., Any])

WITHOUT_EFFECT = {
    "ADDITIONAL_SERVICES_USAGE.luna_lambda": "lambda handlers are rejected in either case",
}


def live(*names: str) -> Callable[[Test], Test]:
    """Name the settings whose effect a test shows, such as `LUNA_PAGING.max_page_size`. The test changes them."""

    def named(test: Test) -> Test:
        test.live = names  # type: ignore[attr-defined]
        return test

    return named


def settings_of(*scopes: Scope) -> Iterator[str]:
    """Yield the settings of these scopes that can be stored."""
    for group in GROUPS.values():
        if group.scope in scopes and group.stored:
            yield from (named(group, each.path) for each in group.variables if not each.secret)


def named(group: Group, path: tuple[str, ...]) -> str:
    return ".".join((group.name, *path))


def paths(name: str, value: Mapping[str, Any], *, known: frozenset[str]) -> Iterator[str]:
    """Yield the names of the settings in a nested value."""
    for key, each in value.items():
        place = f"{name}.{key}"
        if place in known:
            yield place
        elif isinstance(each, Mapping):
            yield from paths(place, each, known=known)


def settings_with_tests() -> Counter[str]:
    """Return the number of tests of each setting."""
    found: Counter[str] = Counter()
    for module in pkgutil.iter_modules(package.__path__):
        members = inspect.getmembers(importlib.import_module(f"{package.__name__}.{module.name}"))
        for each in {test for name, test in members if name.startswith("test_")}:
            found.update(getattr(each, "live", ()))
    return found
