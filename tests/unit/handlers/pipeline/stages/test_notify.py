"""Stage notify: after the commit, to the websockets that were decided."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction

from apps.handlers.messages import event_message
from apps.handlers.pipeline.stages import notify as module
from apps.handlers.pipeline.stages.notify import notify
from apps.handlers.types import Decision
from tests.unit.handlers.pipeline.runs import make_event, make_person, make_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(module, "event_publish", lambda **kwargs: calls.append(kwargs))
    return calls


def test_websockets_get_the_message(sent: list[dict[str, Any]]) -> None:
    event = replace(make_event(make_person(), source="door"), decision=Decision(websockets=True))
    run = make_run(events=(event,))
    (notified,) = notify(run).events
    (published,) = sent
    assert (published["account_id"], published["facts"]["source"]) == (run.account_id, "door")
    assert published["message"] == notified.message == event_message(event, run.shown)


def test_the_message_of_callbacks_is_sent_to_websockets_too(sent: list[dict[str, Any]]) -> None:
    event = replace(make_event(make_person()), decision=Decision(websockets=True), message={"event": {}})
    notify(make_run(events=(event,)))
    assert sent[0]["message"] == event.message


def test_nobody_is_informed_of_other_events(sent: list[dict[str, Any]]) -> None:
    run = make_run(events=(make_event(make_person()),))
    assert notify(run).events == run.events
    assert sent == []


def test_the_commit_comes_first(sent: list[dict[str, Any]]) -> None:
    run = make_run(events=(replace(make_event(), decision=Decision(websockets=True)),))
    with transaction.atomic():
        notify(run)
        assert sent == []
    assert len(sent) == 1


def test_an_event_that_is_rolled_back_is_not_published(sent: list[dict[str, Any]]) -> None:
    run = make_run(events=(replace(make_event(), decision=Decision(websockets=True)),))
    with transaction.atomic():
        notify(run)
        transaction.set_rollback(True)
    assert sent == []
