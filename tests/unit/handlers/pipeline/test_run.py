"""Running stages: their order and their times."""

from dataclasses import replace

from apps.handlers.pipeline.run import Run, execute
from tests.unit.handlers.pipeline.runs import make_event, make_run


def first(run: Run) -> Run:
    return replace(run, events=(make_event(source="first"),))


def second(run: Run) -> Run:
    return replace(run, events=(*run.events, make_event(source="second")))


def test_stages_run_in_order_and_are_timed() -> None:
    run = execute(make_run(), (first, second))
    assert [event.draft.source for event in run.events] == ["first", "second"]
    assert list(run.stage_ms) == ["first", "second"]
    assert all(ms >= 0 for ms in run.stage_ms.values())


def test_times_of_an_earlier_execution_stay() -> None:
    assert list(execute(execute(make_run(), (first,)), (second,)).stage_ms) == ["first", "second"]


def test_a_run_is_not_changed_by_its_stages() -> None:
    run = make_run()
    execute(run, (first, second))
    assert run.events == ()
