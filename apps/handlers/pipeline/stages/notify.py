"""Stage `notify`: send notifications of committed events."""

from dataclasses import replace
from functools import partial

from django.db import transaction

from apps.handlers.messages import event_message
from apps.handlers.pipeline.run import Run
from apps.handlers.types import GeneratedEvent
from apps.sender.services import event_publish


def notify(run: Run) -> Run:
    """Publish the events to the websockets, as decided.

    Fills `message` of these events. Never fails and never blocks on a receiver. If the caller holds a transaction,
    delivery starts after its commit.
    """
    return replace(run, events=tuple(_notified(run, event) for event in run.events))


def _notified(run: Run, event: GeneratedEvent) -> GeneratedEvent:
    if not event.decision.websockets:
        return event
    message = event.message or event_message(event, run.shown)
    publish = partial(event_publish, account_id=run.account_id, facts=event.draft.facts(), message=message)
    transaction.on_commit(publish, robust=True)
    return replace(event, message=message)
