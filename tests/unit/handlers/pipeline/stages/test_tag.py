"""Stage tag: conditional tags."""

from typing import Any

import pytest

from apps.handlers.pipeline.stages.tag import tag
from tests.unit.handlers.pipeline.runs import make_event, make_run

VIP = {"label": "vip", "candidates": [{"similarity": 0.6}, {"similarity": 0.5}]}


@pytest.mark.parametrize(
    ("filters", "tags"),
    [
        ({}, ("given", "new")),
        ({"age__gte": 30}, ("given", "new")),
        ({"age__gte": 31}, ("given",)),
        ({"match": [{"label": "vip", "similarity__gte": 0.6}]}, ("given", "new")),
        ({"match": [{"label": "vip", "similarity__gt": 0.6}]}, ("given",)),
        ({"match": [{"label": "other"}]}, ("given",)),
    ],
)
def test_conditions(filters: Any, tags: tuple[str, ...]) -> None:
    policies = {"conditional_tags_policy": [{"tag": "new", "filters": filters}]}
    event = make_event(tags=("given",), age=30, match_result=[VIP])
    assert tag(make_run(policies, events=(event,))).events[0].draft.tags == tags


def test_a_tag_is_added_once() -> None:
    policies = {"conditional_tags_policy": [{"tag": each} for each in ("new", "given", "new")]}
    assert tag(make_run(policies, events=(make_event(tags=("given",)),))).events[0].draft.tags == ("given", "new")
