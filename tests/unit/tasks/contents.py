"""Contents of the wrong type at every depth, generated from a valid content."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.validation import checked_data
from apps.tasks.types.base import TaskType

ANYTHING: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    1.5,
    float("nan"),
    "",
    "\0",
    "\ud800",
    "x" * 5000,
    "now-9y",
    [],
    {},
)
STRUCTURES: tuple[Any, ...] = ({"unknown": 1}, [[]], [{}], [[["x"]]])


def check_contents(task_type: TaskType, valid: Mapping[str, Any], lenient: Collection[str] = ()) -> int:
    """Check that a valid content is accepted and wrong ones are rejected; return the number of wrong ones.

    Values of any scalar type are accepted or rejected with INVALID_JSON. Structures in the place of scalars, scalars in
    the place of objects, and unknown members are rejected. `lenient`: members that may be an object or an array.
    """
    checked_data(task_type.Content, valid)
    count = 0
    for path, content, must_fail in _wrong(valid, lenient):
        count += 1
        code = _error(task_type, content)
        assert code == errors.INVALID_JSON or (code is None and not must_fail), (path, content, code)
    for content in (None, 1, "x", [], [valid]):
        assert _error(task_type, content) == errors.INVALID_JSON
    return count


def _error(task_type: TaskType, content: Any) -> int | None:
    try:
        checked_data(task_type.Content, content)
    except LunaError as error:
        return error.code
    return None


def _wrong(value: Any, lenient: Collection[str], path: str = "") -> Iterator[tuple[str, Any, bool]]:
    """Yield path, content and whether it must be rejected, for each place within `value`."""
    if isinstance(value, Mapping):
        yield path, {**value, "unknown": 1}, True
        for name, item in value.items():
            inner = f"{path}.{name}"
            for wrong in (*ANYTHING, *STRUCTURES):
                yield inner, {**value, name: wrong}, name not in lenient and _must_fail(item, wrong)
            for where, each, must_fail in _wrong(item, lenient, inner):
                yield where, {**value, name: each}, must_fail
    elif isinstance(value, list) and value:
        for wrong in (*ANYTHING, *STRUCTURES):
            yield f"{path}.0", [wrong, *value[1:]], _must_fail(value[0], wrong)
        for where, each, must_fail in _wrong(value[0], lenient, f"{path}.0"):
            yield where, [each, *value[1:]], must_fail


def _must_fail(valid: Any, wrong: Any) -> bool:
    if isinstance(wrong, Mapping):
        return not isinstance(valid, Mapping) or bool(wrong)
    if isinstance(wrong, list):
        return not isinstance(valid, list) or bool(wrong)
    return wrong is not None and isinstance(valid, Mapping)
