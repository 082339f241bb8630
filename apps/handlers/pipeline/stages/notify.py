"""Stage `notify`: send notifications and callbacks of committed events."""

from dataclasses import replace
from functools import partial

from django.db import transaction

from apps.handlers.messages import event_message
from apps.handlers.pipeline.run import Run
from apps.handlers.types import GeneratedEvent
from apps.sender.callbacks import webhook_call
from apps.sender.services import event_publish


def notify(run: Run) -> Run:
    """Publish each event to the websockets and webhooks of its decision.

    Fills `message` of these events. Never fails and never blocks on a receiver. If the caller holds a transaction,
    delivery starts after its commit.
    """
    return replace(run, events=tuple(_notified(run, event) for event in run.events))


def _notified(run: Run, event: GeneratedEvent) -> GeneratedEvent:
    if not event.decision.websockets and not event.decision.webhooks:
        return event
    message = event_message(event, run.shown)
    calls = [partial(webhook_call, webhook=webhook, message=message) for webhook in event.decision.webhooks]
    if event.decision.websockets:
        facts = event.draft.facts()
        calls.insert(0, partial(event_publish, account_id=run.account_id, facts=facts, message=message))
    for call in calls:
        transaction.on_commit(call, robust=True)
    return replace(event, message=message)
