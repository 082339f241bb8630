"""Strict reading of TOML tables: every key is asked for by type, and what nobody asked for is refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.recognition.networks.errors import NetworkError

REQUIRED: Any = object()
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table", list: "a list"}


class Table:
    """One TOML table on its way into a dataclass; `where` names it in messages, e.g. `dlib-resnet.toml [source]`."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data = dict(data)
        self._where = where

    def fail(self, problem: str) -> NetworkError:
        """An error that names this table, to be raised by the caller."""
        return NetworkError(f"{self._where}: {problem}")

    def take(self, key: str, kind: type, default: Any = REQUIRED) -> Any:
        """The value of `key`, checked to be of `kind`; a missing key gives `default` or an error."""
        if key not in self._data:
            if default is REQUIRED:
                raise self.fail(f"`{key}` is missing")
            return default
        value = self._data.pop(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.fail(f"`{key}` must be {_KINDS[kind]}, not {value!r}")
        return value

    def text(self, key: str, default: Any = REQUIRED, *, choices: Sequence[str] = ()) -> str:
        """Non-empty text, one of `choices` where they are given."""
        value: str = self.take(key, str, default)
        if choices and value not in choices:
            raise self.fail(f"`{key}` must be one of {', '.join(choices)}, not {value!r}")
        if not value.strip() and default is REQUIRED:
            raise self.fail(f"`{key}` is empty")
        return value

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """A number, whole ones included."""
        value: float = self.take(key, float, default)
        return value

    def integer(self, key: str, default: Any = REQUIRED, *, minimum: int = 0) -> int:
        """A whole number not under `minimum`."""
        value: int = self.take(key, int, default)
        if value < minimum:
            raise self.fail(f"`{key}` must not be under {minimum}, it is {value}")
        return value

    def flag(self, key: str, default: Any = REQUIRED) -> bool:
        """True or false."""
        value: bool = self.take(key, bool, default)
        return value

    def integers(self, key: str, default: Any = REQUIRED) -> tuple[int, ...]:
        """A list of whole numbers."""
        values = self.take(key, list, default)
        if any(type(value) is not int for value in values):
            raise self.fail(f"`{key}` must be a list of whole numbers")
        return tuple(values)

    def numbers(self, key: str, default: Any = REQUIRED) -> tuple[float, ...]:
        """A list of numbers."""
        values = self.take(key, list, default)
        if any(type(value) not in (int, float) for value in values):
            raise self.fail(f"`{key}` must be a list of numbers")
        return tuple(float(value) for value in values)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of text values; empty when absent."""
        values = self.take(key, list, [])
        if any(not isinstance(value, str) or not value for value in values):
            raise self.fail(f"`{key}` must be a list of text values")
        return tuple(values)

    def pairs(self, key: str, default: Any = REQUIRED) -> tuple[tuple[float, float], ...]:
        """A list of pairs of numbers."""
        rows = self.take(key, list, default)
        if any(
            not isinstance(row, list | tuple) or len(row) != 2 or any(type(value) not in (int, float) for value in row)
            for row in rows
        ):
            raise self.fail(f"`{key}` must be a list of pairs of numbers")
        return tuple((float(row[0]), float(row[1])) for row in rows)

    def table(self, key: str) -> "Table":
        """A table inside this one."""
        return Table(self.take(key, dict), f"{self._where} [{key}]")

    def optional_table(self, key: str) -> "Table | None":
        """A table inside this one that may be absent."""
        return self.table(key) if key in self._data else None

    def tables(self, key: str) -> list["Table"]:
        """A list of tables, at least one."""
        rows = self.take(key, list)
        if not rows or any(not isinstance(row, dict) for row in rows):
            raise self.fail(f"`{key}` must be a list of tables")
        return [Table(row, f"{self._where} [{key} {index}]") for index, row in enumerate(rows)]

    def names(self, key: str) -> dict[str, str]:
        """A table of text values; empty when absent."""
        values: dict[str, str] = self.take(key, dict, {})
        if any(not isinstance(value, str) for value in values.values()):
            raise self.fail(f"`{key}` must be a table of text values")
        return dict(values)

    def remaining(self) -> list[str]:
        """The keys that were not asked for yet."""
        return list(self._data)

    def done(self) -> None:
        """Refuses the keys that were not asked for."""
        if self._data:
            raise self.fail(f"unknown key {', '.join(f'`{key}`' for key in sorted(self._data))}")
