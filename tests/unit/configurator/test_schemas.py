"""Schemas of other software: what takes unlimited time or memory ends with an error and does not stop the process."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from apps.common import errors
from apps.common.errors import LunaError
from apps.configurator import values

LIMIT_S = 0.3
TIMES = f"takes longer than {LIMIT_S} s"
LEVELS = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)}


@pytest.fixture(autouse=True, scope="module")
def short_limit() -> Iterator[None]:
    values.judge.replace(values.Judge(cpu_limit_s=LIMIT_S))
    yield
    values.judge.close()


def refusal(schema: Any, value: Any) -> str:
    with pytest.raises(LunaError) as wrong:
        values.value_check(value, schema)
    assert wrong.value.code == errors.INVALID_JSON
    return wrong.value.detail


def test_a_slow_pattern_ends_and_other_threads_continue() -> None:
    values.value_check("a", {"pattern": "a"})  # the child has started
    steps, done = 0, threading.Event()

    def count() -> None:
        nonlocal steps
        while not done.wait(0.001):
            steps += 1

    counting = threading.Thread(target=count)
    counting.start()
    text = refusal({"type": "string", "pattern": "^(a+)+$"}, "a" * 64 + "!")
    done.set()
    counting.join()
    assert TIMES in text
    assert "Path: 'validation_schema'" in text
    assert steps > 10
    values.value_check("aaa", {"pattern": "^(a+)+$"})  # another child


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        ({"$ref": "#/$defs/d0", "$defs": {**LEVELS, "d30": {"type": "string"}}}, 1, TIMES),
        ({"$ref": "#"}, 1, "refers to itself"),
        ({"$ref": "#/enum/0", "enum": [5]}, 5, "cannot be applied"),
        ({"$ref": "file:///etc/passwd"}, 1, "Unresolvable"),
        ({"items": {"type": "string"}}, list(range(400)), "is not of type 'string'"),
    ],
    ids=["exponential", "itself", "number", "file", "many"],
)
def test_schemas_that_end_with_a_sentence(schema: Any, value: Any, text: str) -> None:
    assert text in " ".join(values.problems(value, schema).values())


def test_a_schema_with_many_levels_of_a_pattern() -> None:
    with pytest.raises(LunaError, match="levels"):
        values.schema_check({"pattern": "(" * 5000 + ")" * 5000})


def test_a_child_that_was_killed_is_replaced() -> None:
    values.value_check(1, {"type": "integer"})
    child = values.judge().child
    assert child is not None
    child.kill()
    child.wait()
    values.value_check(1, {"type": "integer"})
