"""Inform websockets and webhooks of events, once these are committed."""

from functools import partial

from django.db import transaction

from apps.handlers.messages import event_message
from apps.handlers.pipeline.run import Run
from apps.handlers.types import GeneratedEvent
from apps.sender.callbacks import webhook_call
from apps.sender.services import event_publish


def notify(run: Run) -> Run:
    """Publish each event to the websockets and POST it to the webhooks that were decided.

    Never fails and never waits for a receiver. Inside a transaction of the caller the commit comes first.
    """
    for event in run.events:
        if event.decision.websockets or event.decision.webhooks:
            _notify(run, event)
    return run


def _notify(run: Run, event: GeneratedEvent) -> None:
    message = event_message(event, run.shown)
    calls = [partial(webhook_call, webhook=webhook, message=message) for webhook in event.decision.webhooks]
    if event.decision.websockets:
        facts = event.draft.facts()
        calls.insert(0, partial(event_publish, account_id=run.account_id, facts=facts, message=message))
    for call in calls:
        transaction.on_commit(call, robust=True)
