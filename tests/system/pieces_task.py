"""Small subtasks and slow stages, so that tasks of a few objects have many stages at which a process can be killed.

An installed package of user types: the worker imports it with the registry. Its type has no other purpose.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework import serializers

from apps.common.validation import StrictSerializer
from apps.tasks.machine import ends, runner, runs
from apps.tasks.schedules import runs as schedules
from apps.tasks.types import additional_extract, cross_match, estimator, exporter, gc, linker, reporter
from apps.tasks.types.base import Result, SubtaskRun, TaskType

PAUSE_S = 0.04
SIZES = {
    linker: {"SUBTASK_OBJECTS": 10, "BATCH_FACES": 3, "BATCH_EVENTS": 3},
    gc: {"SUBTASK_OBJECTS": 10, "PAGE": 3},
    exporter: {"ROWS_WITH_PICTURES": 10, "PAGE": 4},
    reporter: {"ROWS_WITH_PICTURES": 10, "PAGE_WITH_PICTURES": 4},
    additional_extract: {"SUBTASK_OBJECTS": 3, "BATCH_OBJECTS": 1},
    cross_match: {"SUBTASK_PAIRS": 400, "GROUP_MAX": 10},
    estimator: {"BATCH_PICTURES": 2},
}


class PiecesContent(StrictSerializer):
    example = {"value": 1}
    value = serializers.IntegerField()


class Pieces(TaskType):
    name, number = "pieces", 1001
    Content = PiecesContent

    def process(self, run: SubtaskRun) -> Result:
        return run.content["value"]


def _slow(function: Callable[..., Any]) -> Callable[..., Any]:
    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(PAUSE_S)
        found = function(*args, **kwargs)
        time.sleep(PAUSE_S)
        return found

    return slow


_checkpoint = runs.SubtaskStageRun.checkpoint


@contextmanager
def _slow_checkpoint(self: Any, *args: Any, **kwargs: Any) -> Iterator[None]:
    with _checkpoint(self, *args, **kwargs):
        yield
        time.sleep(PAUSE_S)
    time.sleep(PAUSE_S)


for _module, _sizes in SIZES.items():
    for _name, _value in _sizes.items():
        assert hasattr(_module, _name), (_module, _name)
        setattr(_module, _name, _value)
for _name in ("split_end", "process_end", "merge_end"):
    setattr(ends, _name, _slow(getattr(ends, _name)))
schedules.schedule_run = _slow(schedules.schedule_run)
setattr(runner, "result_store", _slow(getattr(runner, "result_store")))  # noqa: B009, B010
runs.SubtaskStageRun.checkpoint = _slow_checkpoint  # type: ignore[method-assign]
