"""Storage of events that were made elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.common import errors
from apps.common.addresses import address
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.filters.enums import ObjectType
from apps.common.links import links
from apps.common.parts import SENDER, part_is_on
from apps.common.redis_client import client
from apps.common.scope import Scope
from apps.events.saving import events_enqueue
from apps.events.services import events_create
from apps.events.shapes import location_shape, top_match_shape
from apps.events.types import EventDraft, EventRecord
from apps.faces.attributes import attribute_get
from apps.faces.config import max_ttl_s
from apps.handlers.messages import times_block
from apps.sender.services import event_publish

USED = "luna:attribute-of-event:{}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawEvent:
    """An event to store. `given`: its JSON, which notifications repeat. `has_id`: the client chose the id.

    `attribute_id`: the temporary attribute with its descriptors and basic attributes.
    """

    draft: EventDraft
    descriptors: Sequence[Descriptor] = ()
    attribute_id: UUID | None = None
    given: Mapping[str, Any]
    has_id: bool = False


def raw_event_create(*, account_id: UUID, event: RawEvent, wait_saving: bool) -> EventDraft:
    """Store an event, notify the websockets of the account, and return what is stored.

    Without `wait_saving`, the event is stored after the answer, and dropped if its id exists. Raises LunaError
    EVENT_EXISTS, ATTRIBUTE_NOT_FOUND, EVENT_ATTRIBUTE_EXISTS for an attribute of another event,
    DUPLICATE_DESCRIPTOR_VERSIONS, and the errors of `events_create` or `events_enqueue`.
    """
    record = _record(account_id, event)
    with _attribute_used(event.attribute_id), transaction.atomic() if wait_saving else nullcontext():
        save = events_create if wait_saving else events_enqueue
        save(account_id=account_id, records=[record], given_ids=event.has_id)
        if record.draft.notified:
            message = _message(record.draft, event.given)
            publish = partial(event_publish, account_id=account_id, facts=record.draft.facts(), message=message)
            transaction.on_commit(publish, robust=True)
    return record.draft


def _record(account_id: UUID, event: RawEvent) -> EventRecord:
    draft, descriptors = _with_top_match(event.draft), event.descriptors
    if event.attribute_id is not None:
        data = attribute_get(scope=Scope(account_id), attribute_id=event.attribute_id).data
        descriptors = [*data.descriptors, *descriptors]
        if data.basic is not None:
            known: dict[str, Any] = {
                "age": data.basic.age,
                "gender": data.basic.gender,
                "ethnic_group": data.basic.ethnicity,
            }
            draft = replace(draft, **{name: known[name] for name in known if getattr(draft, name) is None})
    numbers = [each.version for each in descriptors]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise LunaError(errors.DUPLICATE_DESCRIPTOR_VERSIONS, ", ".join(map(str, twice)))
    return EventRecord(replace(draft, notified=part_is_on(SENDER)), descriptors)


def _with_top_match(draft: EventDraft) -> EventDraft:
    """Set the top match: the highest similarity of all labels, and the first of equal ones."""
    pairs = [(match["label"], each) for match in draft.match_result for each in match["candidates"]]
    if not pairs:
        return draft
    label, top = max(pairs, key=lambda pair: pair[1]["similarity"])
    kind = ObjectType.FACE if top["face"] else ObjectType.EVENT
    found = top["face"] or top["event"]
    return replace(
        draft,
        top_matching_candidates_label=label,
        top_similar_object_similarity=top["similarity"],
        top_similar_object_id=UUID(found[f"{kind.word}_id"]),
        top_similar_object_type=kind.value,
        top_similar_external_id=found.get("external_id"),
    )


@contextmanager
def _attribute_used(attribute_id: UUID | None) -> Iterator[None]:
    """Reserve a temporary attribute for one event, as long as an attribute can live; a failure frees it.

    Raises LunaError EVENT_ATTRIBUTE_EXISTS if it belongs to another event.
    """
    if attribute_id is None:
        yield
        return
    key = USED.format(attribute_id)
    if not client().set(key, 1, nx=True, ex=max_ttl_s()):
        raise LunaError(errors.EVENT_ATTRIBUTE_EXISTS, attribute_id)
    try:
        yield
    except BaseException:
        client().delete(key)
        raise


def _message(draft: EventDraft, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notification: the members of the request, and those that every event has."""
    event = {
        "face": None,
        "face_attributes": None,
        "body_attributes": None,
        "matches": [],
        "detections": [],
        "aggregate_estimations": {"face": {"attributes": {}}, "body": {"attributes": {}}},
        **given,
        "event_id": str(draft.event_id),
        **links(address("event", draft.event_id)),
        "source": draft.source,
        "stream_id": None if draft.stream_id is None else str(draft.stream_id),
        "track_id": draft.track_id,
        "external_id": draft.external_id,
        "user_data": draft.user_data,
        "tags": list(draft.tags),
        "location": location_shape(draft),
        "meta": draft.meta,
        "top_match": top_match_shape(draft),
    }
    return {"event": event, "handler_id": str(draft.handler_id), **times_block(draft)}
