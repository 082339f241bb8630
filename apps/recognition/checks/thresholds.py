"""Thresholds of checks. A value that was not measured is None and never passes."""

from dataclasses import dataclass, replace

Value = float | str | None
Json = dict[str, float | None] | list[str] | int


@dataclass(frozen=True, slots=True)
class Between:
    """Range `low` ≤ value ≤ `high`, None for unbounded. `domain`: the lowest and the highest possible value."""

    low: float | None = None
    high: float | None = None
    domain: tuple[float | None, float | None] = (None, None)

    def accepts(self, value: Value) -> bool:
        """Return whether the value is a number within the bounds."""
        if value is None or isinstance(value, str):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def json(self) -> Json:
        """Return `{min, max}`; null is unbounded."""
        return {"min": self.low, "max": self.high}

    def with_bounds(self, low: float | None, high: float | None) -> "Between":
        """Return the range with a client's bounds.

        One missing bound becomes the bound of the domain. If both are missing, the range is unchanged.
        """
        if low is None and high is None:
            return self
        return replace(self, low=self.domain[0] if low is None else low, high=self.domain[1] if high is None else high)


@dataclass(frozen=True, slots=True)
class OneOf:
    """Set of `accepted` words. `words`: all possible words."""

    accepted: tuple[str, ...]
    words: tuple[str, ...]

    def accepts(self, value: Value) -> bool:
        """Return whether the value is an accepted word."""
        return value in self.accepted

    def json(self) -> Json:
        """Return the accepted words."""
        return list(self.accepted)


@dataclass(frozen=True, slots=True)
class Flag:
    """Flag with the accepted number 0 or 1."""

    wanted: int

    def accepts(self, value: Value) -> bool:
        """Return whether the value is the accepted number."""
        return value == self.wanted

    def json(self) -> Json:
        """Return the accepted number."""
        return self.wanted


Threshold = Between | OneOf | Flag
