"""Stage `notify`: send notifications of committed events, and pass the events to plugins."""

from dataclasses import replace
from functools import partial

from django.db import transaction

from apps.common.plugins.contract import SentEvent
from apps.common.plugins.services import plugins
from apps.handlers.messages import event_message
from apps.handlers.pipeline.run import Run
from apps.handlers.types import GeneratedEvent
from apps.sender.services import event_publish


def notify(run: Run) -> Run:
    """Publish the events to the websockets, as decided, and all of them to event plugins.

    Fills `message` of these events. Never fails and never blocks on a receiver. If the caller holds a transaction,
    delivery starts after its commit.
    """
    return replace(run, events=tuple(_notified(run, event) for event in run.events))


def _notified(run: Run, event: GeneratedEvent) -> GeneratedEvent:
    if not event.decision.websockets and not plugins().takes_events:
        return event
    message = event.message or event_message(event, run.shown)
    if event.decision.websockets:
        publish = partial(event_publish, account_id=run.account_id, facts=event.draft.facts(), message=message)
        transaction.on_commit(publish, robust=True)
    if plugins().takes_events:
        sent = SentEvent(account_id=run.account_id, message=message)
        transaction.on_commit(partial(plugins().event_sent, sent), robust=True)
    return replace(event, message=message)
