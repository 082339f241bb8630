"""Contents that garbage collection refuses."""

from typing import Any

import pytest

from apps.accounts.models import Account
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.tasks.types.gc import TYPE
from tests.factories import make_event, make_version
from tests.tasks_run import run_task
from tests.unit.tasks.gc.objects import events_left

SOME_ID = "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e"  # equal in all processes of pytest-xdist

pytestmark = pytest.mark.django_db


OPTIONS = {"descriptor_version": 7}


@pytest.mark.parametrize(
    "content",
    [
        {"target": None},
        {"target": "people"},
        {"target": 1},
        {"target": ["events"]},
        {"target": {"events": 1}},
        {"target": "events", "filters": []},
        {"target": "events", "filters": "all"},
        {"target": "events", "filters": {"handler_id": 5}},
        {"target": "events", "filters": {"handler_id": [1]}},
        {"target": "events", "filters": {"handler_id": SOME_ID, "handler_ids": [SOME_ID]}},
        {"target": "events", "filters": {"create_time__lt": {"a": 1}}},
        {"target": "events", "filters": {"list_id": SOME_ID}},
        {"target": "faces", "filters": {"handler_id": SOME_ID}},
        {"target": "faces", "filters": {"user_data": ["x"]}},
        {"target": "faces", "filters": {"user_data": "x"}, "remove_samples": "yes"},
        {"target": "faces", "filters": {"user_data": "x"}, "remove_samples": [1]},
        {"target": "faces", "filters": {"user_data": "x"}, "remove_image_origins": 1},
        {"target": "faces", "filters": {"user_data": "x"}, "store_results": 2},
        {"target": "faces", "filters": {"user_data": "x"}, "options": OPTIONS},
        {"target": "faces", "filters": {"user_data": "x"}, "descriptor_type": "face"},
        {"target": "events", "account_id": "me"},
        {"target": "events", "limit": 1},
        {"target": "face_descriptors"},
        {"target": "face_descriptors", "options": {}},
        {"target": "face_descriptors", "options": 7},
        {"target": "face_descriptors", "options": [7]},
        {"target": "face_descriptors", "options": {"descriptor_version": "seven"}},
        {"target": "face_descriptors", "options": {"descriptor_version": [7]}},
        {"target": "face_descriptors", "options": {"descriptor_version": 0}},
        {"target": "face_descriptors", "options": {"descriptor_version": 7, "force": 1}},
        {"target": "face_descriptors", "options": OPTIONS, "filters": {"create_time__lt": "now-1d"}},
        {"target": "face_descriptors", "options": OPTIONS, "filters": [1]},
        {"target": "face_descriptors", "options": OPTIONS, "remove_samples": 1},
        {"target": "face_descriptors", "options": OPTIONS, "remove_image_origins": 1},
        {"target": "face_descriptors", "options": OPTIONS, "descriptor_type": "body"},
        {"target": "event_descriptors", "options": OPTIONS},
        {"target": "event_descriptors", "options": OPTIONS, "descriptor_type": "body"},
        {"target": "event_descriptors", "options": OPTIONS, "descriptor_type": 1},
    ],
    ids=str,
)
def test_wrong_contents_are_refused(account: Account, content: dict[str, Any]) -> None:
    make_version(7, 4)
    make_event(account)
    with pytest.raises(LunaError) as raised:
        run_task(TYPE, content, scope=Scope(None if "descriptors" in str(content["target"]) else account.account_id))
    assert raised.value.code == 12027
    assert events_left(account) == {""}
