"""The table that `make bench` prints: each figure beside a bare baseline of the same run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is value / baseline where a baseline exists; `goal`: the goal as text."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    goal: str = ""


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` % of the values lie."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def render(rows: Sequence[Row]) -> str:
    """The rows as aligned columns."""
    cells = [("what", "value", "unit", "baseline", "ratio", "goal")]
    for row in rows:
        baseline = "" if row.baseline is None else f"{row.baseline:,.2f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        cells.append((row.name, f"{row.value:,.2f}", row.unit, baseline, ratio, row.goal))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = []
    for line in cells:
        name, value, unit, baseline, ratio, goal = (
            text.rjust(width) if column in (1, 3, 4) else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append(f"{name}  {value} {unit}  {baseline}  {ratio}  {goal}".rstrip())
    return "\n".join(lines)
