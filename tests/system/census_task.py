"""A user type of tasks for kill tests: each step creates a face, so that a step done twice or never is visible."""

import time
from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.validation import StrictSerializer
from apps.faces.services import faces_create
from apps.faces.types import FaceDraft
from apps.tasks.types.base import Part, Result, SubtaskRun, TaskRun, TaskType


class CensusContent(StrictSerializer):
    example = {"steps": 3}
    steps = serializers.IntegerField(min_value=1, max_value=1000)
    subtasks = serializers.IntegerField(min_value=1, max_value=100, default=1)
    pause_s = serializers.FloatField(min_value=0, max_value=10, default=0.0)


class Census(TaskType):
    """Creates a face in each step, with a checkpoint, and reports an error in each second one. Each stage is slow."""

    name, number = "census", 1000
    Content = CensusContent

    def split(self, run: TaskRun) -> Iterator[Part]:
        for subtask in range(run.content["subtasks"]):
            self.wait(run)
            yield Part(content={"first": subtask * 1000}, parts=run.content["steps"])

    def process(self, run: SubtaskRun) -> Result:
        for step in range(run.state.get("steps", 0), run.content["steps"]):
            self.wait(run)
            name = str(run.part["first"] + step)
            if step % 2:
                run.error(LunaError(errors.FACE_NOT_FOUND, name), info=name)
            assert run.account_id is not None
            with run.checkpoint({"steps": step + 1}, parts_done=step + 1):
                faces_create(account_id=run.account_id, drafts=[FaceDraft(external_id=name)])
        return [run.part["first"] + step for step in range(run.content["steps"])]

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        found = []
        for result in results:
            self.wait(run)
            found += result
        return found

    def wait(self, run: TaskRun) -> None:
        end = time.monotonic() + run.content["pause_s"]
        while time.monotonic() < end:
            run.check()
            time.sleep(0.01)
