"""User types of tasks for tests of the machine."""

from collections.abc import Callable, Iterator
from typing import Any

from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.validation import StrictSerializer
from apps.tasks.types.base import Needs, Part, Result, SubtaskRun, TaskRun, TaskType


class NumbersContent(StrictSerializer):
    example = {"until": 3}
    until = serializers.IntegerField(min_value=1, max_value=10**6)
    subtasks = serializers.IntegerField(min_value=0, max_value=10**4, default=1)


class Numbers(TaskType):
    """Lists the numbers below `until` in each subtask, with an error for each odd one and a checkpoint a number.

    `at`: called with the run and the number before its checkpoint.
    """

    name, number = "numbers", 1001
    Content = NumbersContent

    def __init__(self, at: Callable[[SubtaskRun, int], object] | None = None) -> None:
        self.at = at

    def split(self, run: TaskRun) -> Iterator[Part]:
        yield from (
            Part(content={"first": number * 100}, parts=run.content["until"])
            for number in range(run.content["subtasks"])
        )

    def process(self, run: SubtaskRun) -> Result:
        for number in range(len(run.state.get("numbers", ())), run.content["until"]):
            run.check()
            if number % 2:
                run.error(LunaError(errors.FACE_NOT_FOUND, number), info=str(run.part["first"] + number))
            if self.at is not None:
                self.at(run, number)
            numbers = [*run.state.get("numbers", ()), run.part["first"] + number]
            with run.checkpoint({"numbers": numbers}, blob=bytes([number]), parts_done=number + 1):
                pass
        return list(run.state["numbers"])

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        return [number for result in results for number in result]


class Light(Numbers):
    """Works without the Image Store."""

    name, number = "light", 1002
    needs = Needs(image_store=False)
