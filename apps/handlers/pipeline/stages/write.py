"""Stage `write`: store the decided objects, rows and callbacks in one transaction.

Each statement writes the rows of all events: events, faces, links, descriptors, samples and callbacks. The files are
synced to disk before the commit. A failure removes everything written.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from uuid import UUID

import orjson
from django.db import InterfaceError, OperationalError, transaction

from apps.common.errors import LunaError
from apps.events.saving import enqueue_check, events_enqueue
from apps.events.services import events_create
from apps.faces.attributes import attribute_create, attribute_delete
from apps.faces.services import faces_create
from apps.handlers.messages import event_message
from apps.handlers.pipeline.run import Run
from apps.handlers.records import event_record
from apps.handlers.types import GeneratedEvent
from apps.imagestore import files
from apps.imagestore.services import samples_storing
from apps.imagestore.types import NewObject
from apps.sender.outbox import NewCallback, callbacks_create
from apps.sender.services import message_frame


def write(run: Run) -> Run:
    """Store the decided objects, events, faces, temporary attributes and callbacks, either all or none.

    Fills `attribute_id` of the events, and `message` of those with callbacks. Raises LunaError LISTS_NOT_FOUND for a
    list that does not exist, DISK_IMAGE_SAVE_FAILED if the Image Store fails, and the errors of `events_create` and
    `events_enqueue`: events without `wait_saving` are stored after the answer.
    """
    stored = [event for event in run.events if event.decision.store_event]
    records = [event_record(event) for event in stored if event.decision.wait_saving]
    queued = [event_record(event) for event in stored if not event.decision.wait_saving]
    if queued:
        enqueue_check(len(queued))
    drafts = [event.face for event in run.events if event.face is not None]
    calls = any(event.decision.callbacks for event in run.events)
    attributes: list[UUID] = []
    with (
        _all_or_nothing(run.account_id, run.objects, attributes),
        transaction.atomic() if records or drafts or calls or run.objects else nullcontext(),
        samples_storing(items=run.objects),
    ):
        events = tuple(_with_attribute(event, run.account_id, attributes) for event in run.events)
        if records:
            events_create(account_id=run.account_id, records=records)
        if drafts:
            faces_create(account_id=run.account_id, drafts=drafts)
        if calls:
            events = tuple(_with_message(event, run) for event in events)
            callbacks_create(
                account_id=run.account_id,
                callbacks=[call for event in events for call in _calls(event, run.account_id)],
            )
    if queued:  # after the commit, so that an event never names a face that is not stored
        events_enqueue(account_id=run.account_id, records=queued)
    return replace(run, events=events)


@contextmanager
def _all_or_nothing(account_id: UUID, objects: Sequence[NewObject], attributes: Sequence[UUID]) -> Iterator[None]:
    """Remove the files and temporary attributes on failure; the rollback does not cover them."""
    try:
        yield
    except (OperationalError, InterfaceError):
        raise  # the commit may have succeeded before the connection broke; `fsck` removes files without a row
    except BaseException:
        for item in objects:
            with suppress(OSError):
                files.remove(item.bucket, item.object_id, item.content_type)
        for attribute_id in attributes:
            with suppress(LunaError):
                attribute_delete(account_id=account_id, attribute_id=attribute_id)
        raise


def _with_attribute(event: GeneratedEvent, account_id: UUID, attributes: list[UUID]) -> GeneratedEvent:
    decision = event.decision
    if decision.attribute is None:
        return event
    attribute = attribute_create(account_id=account_id, data=decision.attribute, ttl_s=decision.attribute_ttl_s)
    attributes.append(attribute.attribute_id)
    return replace(event, attribute_id=attribute.attribute_id)


def _with_message(event: GeneratedEvent, run: Run) -> GeneratedEvent:
    return replace(event, message=event_message(event, run.shown)) if event.decision.callbacks else event


def _calls(event: GeneratedEvent, account_id: UUID) -> Iterable[NewCallback]:
    """Return the callbacks of an event, which have the same body."""
    if event.message is None:
        return
    payload = orjson.dumps(message_frame(event.message)).decode()
    values = {"account_id": account_id, "handler_id": event.draft.handler_id, "source": event.draft.source}
    for target in event.decision.callbacks:
        yield NewCallback(target=target.filled(values), payload=payload, object_id=event.draft.event_id)
