"""Validation of a manifest's tables: errors name the position."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.tables import Table


@pytest.mark.parametrize(
    ("value", "read", "problem"),
    [
        ("x", lambda table: table.number("key"), "must be"),
        (1.5, lambda table: table.integer("key"), "must be"),
        (True, lambda table: table.integer("key"), "must be"),
        (0, lambda table: table.integer("key", minimum=1), "must be at least 1, got 0"),
        (1, lambda table: table.flag("key"), "must be"),
        (" ", lambda table: table.text("key"), "must not be empty"),
        ("c", lambda table: table.text("key", choices=("a", "b")), "must be one of a, b, got 'c'"),
        ([1, 2.0], lambda table: table.integers("key"), "list of integers"),
        ([1, "2"], lambda table: table.numbers("key"), "list of numbers"),
        (["a", ""], lambda table: table.texts("key"), "list of text values"),
        ([[1, 2], [3]], lambda table: table.pairs("key"), "list of pairs"),
        ([[1, "2"]], lambda table: table.pairs("key"), "list of pairs"),
        ([], lambda table: table.tables("key"), "list of tables"),
        ([1], lambda table: table.tables("key"), "list of tables"),
        ({"a": 1}, lambda table: table.names("key"), "table of text values"),
        ([], lambda table: table.table("key"), "must be"),
    ],
)
def test_wrong_values(value: object, read: Callable[[Table], Any], problem: str) -> None:
    with pytest.raises(NetworkError, match=r"place: `key`") as caught:
        read(Table({"key": value}, "place"))
    assert problem in str(caught.value)


def test_a_missing_value() -> None:
    with pytest.raises(NetworkError, match="place: `key` is missing"):
        Table({}, "place").text("key")
    assert Table({}, "place").number("key", 2.0) == 2.0


def test_right_values() -> None:
    table = Table(
        {"n": 1, "i": 2, "f": True, "t": "a", "is": [1], "ns": [1, 2.5], "ts": ["a"], "ps": [[1, 2]],
         "rows": [{"x": 1}], "names": {"a": "b"}},
        "place",
    )  # fmt: skip
    assert (table.number("n"), table.integer("i"), table.flag("f"), table.text("t")) == (1.0, 2, True, "a")
    assert (table.integers("is"), table.numbers("ns"), table.texts("ts")) == ((1,), (1.0, 2.5), ("a",))
    assert (table.pairs("ps"), table.names("names")) == (((1.0, 2.0),), {"a": "b"})
    (row,) = table.tables("rows")
    with pytest.raises(NetworkError, match=r"place \[rows 0\]"):
        row.text("x")
    table.done()


def test_values_that_nobody_asked_for() -> None:
    table = Table({"known": 1, "other": 2}, "place")
    table.integer("known")
    assert table.remaining() == ["other"]
    with pytest.raises(NetworkError, match="other"):
        table.done()
