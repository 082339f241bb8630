"""The double of the machine kills, continues and cancels as the machine does."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from rest_framework import serializers

from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import FilterTimeField
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.common.validation import StrictSerializer
from apps.tasks.types.base import Part, Result, StageCancelled, SubtaskRun, TaskRun, TaskType
from tests.factories import make_account
from tests.tasks_run import Outcome, Places, run_task, runs_killed

pytestmark = pytest.mark.django_db


class CountContent(StrictSerializer):
    until = serializers.IntegerField(min_value=1)
    since = FilterTimeField(required=False)


class Count(TaskType):
    """Counts in two subtasks; each number is one write."""

    name, number = "count", 1000
    Content = CountContent

    def split(self, run: TaskRun) -> Iterator[Part]:
        yield from (Part(content={"start": start}, parts=run.content["until"]) for start in (0, 100))

    def process(self, run: SubtaskRun) -> Result:
        for number in range(run.state.get("done", 0), run.content["until"]):
            run.check()
            run.error(LunaError(errors.FACE_NOT_FOUND, number), info=str(run.part["start"] + number))
            with run.checkpoint({"done": number + 1}, blob=bytes([number]), parts_done=number + 1):
                Account.objects.filter(pk__in=[run.account_id]).update(description=f"{run.part['start'] + number}")
        return {"done": run.state["done"], "blob": run.blob[0] if run.blob else None}


class TestRunTask:
    found: ClassVar[Any] = [{"done": 3, "blob": 2}, {"done": 3, "blob": 2}]

    def test_results_errors_and_checkpoints(self) -> None:
        outcome = run_task(Count(), {"until": 3}, scope=Scope(make_account().account_id))
        assert outcome.result == self.found
        assert [each.info for each in outcome.errors] == ["0", "1", "2", "100", "101", "102"]
        assert len(outcome.checkpoints) == 6

    def test_killed_anywhere_gives_the_same(self) -> None:
        owner = make_account().account_id

        def run(places: Places) -> Outcome:
            return run_task(Count(), {"until": 3}, scope=Scope(owner), places=places)

        outcomes = [outcome for _, outcome in runs_killed(run, checks_too=True)]
        assert len(outcomes) == 2 * 3 * 4
        assert {str(each.result) for each in outcomes} == {str(self.found)}
        assert all([each.info for each in one.errors] == ["0", "1", "2", "100", "101", "102"] for one in outcomes)

    def test_cancelled_at_a_check(self) -> None:
        owner = make_account()
        with pytest.raises(StageCancelled):
            run_task(Count(), {"until": 3}, scope=Scope(owner.account_id), places=Places(cancel_at=4))
        owner.refresh_from_db()
        assert owner.description == "0"  # the second checkpoint was not committed

    def test_relative_times_count_from_the_creation(self) -> None:
        seen = []

        class Since(Count):
            def process(self, run: SubtaskRun) -> Result:
                seen.append(run.content["since"])
                return None

        created = utc_now()
        run_task(Since(), {"until": 1, "since": "now-0s"}, scope=Scope(None), create_time=created)
        assert seen == [created, created]
