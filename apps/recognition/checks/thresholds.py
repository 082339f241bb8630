"""Thresholds of checks. Each says whether a value passes; None, what could not be measured, never does."""

from dataclasses import dataclass, replace

Value = float | str | None
Json = dict[str, float | None] | list[str] | int


@dataclass(frozen=True, slots=True)
class Between:
    """`low` ≤ value ≤ `high`, None for unbounded. `domain`: the lowest and the highest value that there can be."""

    low: float | None = None
    high: float | None = None
    domain: tuple[float | None, float | None] = (None, None)

    def accepts(self, value: Value) -> bool:
        """A number within the bounds."""
        if value is None or isinstance(value, str):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def json(self) -> Json:
        """`{min, max}`; null is unbounded."""
        return {"min": self.low, "max": self.high}

    def with_bounds(self, low: float | None, high: float | None) -> "Between":
        """A user's own bounds: the one that is missing becomes the domain's end, with both missing nothing changes."""
        if low is None and high is None:
            return self
        return replace(self, low=self.domain[0] if low is None else low, high=self.domain[1] if high is None else high)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A word of `accepted`. `words`: all that there are."""

    accepted: tuple[str, ...]
    words: tuple[str, ...]

    def accepts(self, value: Value) -> bool:
        """One of the accepted words."""
        return value in self.accepted

    def json(self) -> Json:
        """The accepted words."""
        return list(self.accepted)


@dataclass(frozen=True, slots=True)
class Flag:
    """0 or 1."""

    wanted: int

    def accepts(self, value: Value) -> bool:
        """The wanted number."""
        return value == self.wanted

    def json(self) -> Json:
        """The wanted number."""
        return self.wanted


Threshold = Between | OneOf | Flag
