"""Strict reader of TOML tables: every key has a type, and unknown keys are errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.recognition.networks.errors import NetworkError

REQUIRED: Any = object()
_KINDS = {str: "text", int: "an integer", float: "a number", bool: "true or false", dict: "a table", list: "a list"}


class Table:
    """Reader of one TOML table; `where` names it in messages, e.g. `dlib-resnet.toml [source]`."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data = dict(data)
        self._where = where

    def fail(self, problem: str) -> NetworkError:
        """Return an error that names this table; the caller raises it."""
        return NetworkError(f"{self._where}: {problem}")

    def take(self, key: str, kind: type, default: Any = REQUIRED) -> Any:
        """Return the value of `key` after a check of its type. Raises NetworkError if it is missing without default."""
        if key not in self._data:
            if default is REQUIRED:
                raise self.fail(f"`{key}` is missing")
            return default
        value = self._data.pop(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.fail(f"`{key}` must be {_KINDS[kind]}, got {value!r}")
        return value

    def text(self, key: str, default: Any = REQUIRED, *, choices: Sequence[str] = ()) -> str:
        """Return non-empty text, one of `choices` if they are given."""
        value: str = self.take(key, str, default)
        if choices and value not in choices:
            raise self.fail(f"`{key}` must be one of {', '.join(choices)}, got {value!r}")
        if not value.strip() and default is REQUIRED:
            raise self.fail(f"`{key}` must not be empty")
        return value

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """Return a number, which can be an integer."""
        value: float = self.take(key, float, default)
        return value

    def integer(self, key: str, default: Any = REQUIRED, *, minimum: int = 0) -> int:
        """Return an integer of at least `minimum`."""
        value: int = self.take(key, int, default)
        if value < minimum:
            raise self.fail(f"`{key}` must be at least {minimum}, got {value}")
        return value

    def flag(self, key: str, default: Any = REQUIRED) -> bool:
        """Return a boolean."""
        value: bool = self.take(key, bool, default)
        return value

    def integers(self, key: str, default: Any = REQUIRED) -> tuple[int, ...]:
        """Return a list of integers."""
        values = self.take(key, list, default)
        if any(type(value) is not int for value in values):
            raise self.fail(f"`{key}` must be a list of integers")
        return tuple(values)

    def numbers(self, key: str, default: Any = REQUIRED) -> tuple[float, ...]:
        """Return a list of numbers."""
        values = self.take(key, list, default)
        if any(type(value) not in (int, float) for value in values):
            raise self.fail(f"`{key}` must be a list of numbers")
        return tuple(float(value) for value in values)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of text values, empty if absent."""
        values = self.take(key, list, [])
        if any(not isinstance(value, str) or not value for value in values):
            raise self.fail(f"`{key}` must be a list of text values")
        return tuple(values)

    def pairs(self, key: str, default: Any = REQUIRED) -> tuple[tuple[float, float], ...]:
        """Return a list of pairs of numbers."""
        rows = self.take(key, list, default)
        if any(
            not isinstance(row, list | tuple) or len(row) != 2 or any(type(value) not in (int, float) for value in row)
            for row in rows
        ):
            raise self.fail(f"`{key}` must be a list of pairs of numbers")
        return tuple((float(row[0]), float(row[1])) for row in rows)

    def table(self, key: str) -> "Table":
        """Return a table inside this one."""
        return Table(self.take(key, dict), f"{self._where} [{key}]")

    def optional_table(self, key: str) -> "Table | None":
        """Return a table inside this one, None if absent."""
        return self.table(key) if key in self._data else None

    def tables(self, key: str) -> list["Table"]:
        """Return a list of at least one table."""
        rows = self.take(key, list)
        if not rows or any(not isinstance(row, dict) for row in rows):
            raise self.fail(f"`{key}` must be a list of tables")
        return [Table(row, f"{self._where} [{key} {index}]") for index, row in enumerate(rows)]

    def names(self, key: str) -> dict[str, str]:
        """Return a table of text values, empty if absent."""
        values: dict[str, str] = self.take(key, dict, {})
        if any(not isinstance(value, str) for value in values.values()):
            raise self.fail(f"`{key}` must be a table of text values")
        return dict(values)

    def remaining(self) -> list[str]:
        """Return the keys that were not read yet."""
        return list(self._data)

    def done(self) -> None:
        """Check that all keys were read. Raises NetworkError for unknown keys."""
        if self._data:
            raise self.fail(f"unknown key {', '.join(f'`{key}`' for key in sorted(self._data))}")
