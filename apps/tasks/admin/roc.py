"""Picture of a ROC curve on the page of its task."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.accounts.adminbase.display import NOTHING
from apps.common.errors import LunaError
from apps.tasks.models import Task
from apps.tasks.results import result_open

SIDE, LEFT, TOP = 400, 56, 16
TICKS = tuple(tick / 10 for tick in range(0, 11, 2))


def roc_panel(task: Task) -> SafeString:
    """Return the picture of a task's result; a dash without a result or without a curve."""
    try:
        with result_open(task.result_id) as result:
            return (result and roc_svg(result)) or NOTHING
    except LunaError:  # the result has expired
        return NOTHING


def roc_svg(result: Mapping[str, Any]) -> SafeString:
    """Return an SVG of the result of a ROC task: the curve, the point of equal errors and the key points.

    Empty without a curve. The colour is that of the surrounding text.
    """
    if not result["roc"]:
        return SafeString("")
    equal = result["equal_errors"]
    return format_html(
        '<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{title}" '
        'fill="none" stroke="currentColor" font-size="12"><title>{title}</title>{grid}'
        '<path d="M{left} {top}l{side} {side}" stroke-dasharray="4 4" opacity=".5"/>'
        '<polyline points="{curve}" stroke-width="2"/>{marks}'
        '<g fill="currentColor" stroke="none">{labels}</g></svg>',
        width=LEFT + SIDE + 16,
        height=TOP + SIDE + 44,
        title=_("ROC curve, area %(area)s, equal error rate %(rate)s")
        % {"area": f"{result['auc']:.6g}", "rate": f"{equal['fpr']:.6g}"},
        left=LEFT,
        top=TOP,
        side=SIDE,
        grid=format_html_join("", '<path d="M{} {}H{}M{} {}V{}" opacity=".15"/>', map(_grid, TICKS)),
        curve=" ".join("{},{}".format(*_place(each)) for each in result["roc"]),
        marks=_marks([equal, *result["key_points"]]),
        labels=format_html_join("", '<text x="{}" y="{}" text-anchor="{}">{}</text>', _labels(result)),
    )


def _place(point: Mapping[str, float]) -> tuple[float, float]:
    return round(LEFT + point["fpr"] * SIDE, 2), round(TOP + (1 - point["tpr"]) * SIDE, 2)


def _grid(tick: float) -> tuple[float, ...]:
    x, y = _place({"fpr": tick, "tpr": tick})
    return LEFT, y, LEFT + SIDE, x, TOP, TOP + SIDE


def _marks(points: Sequence[Mapping[str, Any]]) -> SafeString:
    rows = ((*_place(each), _described(each)) for each in points)
    return format_html_join(
        "", '<circle cx="{}" cy="{}" r="4" fill="currentColor" stroke="none"><title>{}</title></circle>', rows
    )


def _described(point: Mapping[str, Any]) -> str:
    name = _("FPR at most %s") % f"{point['key_fpr']:g}" if "key_fpr" in point else _("equal errors")
    threshold = (
        _("above all similarities") if point["threshold"] is None else _("threshold %s") % f"{point['threshold']:.6f}"
    )
    return f"{name}: FPR {point['fpr']:.6g}, TPR {point['tpr']:.6g}, {threshold}"


def _labels(result: Mapping[str, Any]) -> list[tuple[float, float, str, str]]:
    found: list[tuple[float, float, str, str]] = []
    for tick in TICKS:
        x, y = _place({"fpr": tick, "tpr": tick})
        found += [(x, TOP + SIDE + 16, "middle", f"{tick:g}"), (LEFT - 8, y + 4, "end", f"{tick:g}")]
    facts = f"AUC {result['auc']:.4f}, EER {result['equal_errors']['fpr']:.4f}"
    return [
        *found,
        (LEFT + SIDE / 2, TOP + SIDE + 36, "middle", _("False positive rate")),
        (LEFT + 4, TOP - 4, "start", _("True positive rate")),
        (LEFT + SIDE * 0.25, TOP + SIDE - 12, "start", facts),
    ]
