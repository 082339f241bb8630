"""Enrolment of unknown people, once each.

A policy can store or link a face because nobody resembles it (`no_match`). Between the search and the commit, another
request can store the same person. Such a request therefore repeats search and decision under a lock of its account,
which it holds until its own commit. Its events follow each other: a face that an event stores is a candidate for the
next events of the request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from apps.common.filters import Filters
from apps.common.filters.conditions import MATCH
from apps.common.locks import advisory_lock
from apps.common.times import utc_now
from apps.faces.types import FaceDraft, FaceRow
from apps.handlers.pipeline.run import Run
from apps.handlers.pipeline.stages.decide import Objects, decided
from apps.handlers.pipeline.stages.match import NewFace, matched
from apps.handlers.pipeline.stages.tag import tag
from apps.handlers.policies.storage import FacePolicy
from apps.handlers.types import GeneratedEvent


@contextmanager
def enrolling(screened: Run, run: Run) -> Iterator[Run]:
    """Yield the run to write within this context: `run`, or one that was decided again under the lock.

    `screened`: the run before its events were matched.
    """
    policy = run.policies.storage_policy.face_policy
    if not any(_is_enrolled(event, policy) for event in run.events):
        yield run
        return
    with advisory_lock(f"enrol people of {run.account_id}", wait=True):
        yield replace(_one_by_one(screened), stage_ms=run.stage_ms)


def _is_enrolled(event: GeneratedEvent, policy: FacePolicy) -> bool:
    """Return whether the event's face is stored, or linked to a list, because nobody resembles it."""
    if event.face is None:
        return False
    lists = {link.list_id for link in policy.link_to_lists_policy if _asks_for_nobody(link.filters)}
    return _asks_for_nobody(policy.filters) or not lists.isdisjoint(event.face.lists)


def _asks_for_nobody(filters: Filters) -> bool:
    return any(item.no_match for item in filters.get(MATCH.name, ()))


def _one_by_one(screened: Run) -> Run:
    """Match, tag and decide each event after the faces of the earlier ones."""
    objects, events = Objects(screened.account_id), list[GeneratedEvent]()
    faces: list[NewFace] = []
    for each in screened.events:
        (event,) = tag(matched(replace(screened, events=(each,)), faces)).events
        event = decided(event, screened.policies.storage_policy, objects)
        if event.face is not None:
            now = utc_now()
            face = replace(event.face, create_time=now)
            event = replace(event, face=face)
            if face.attribute is not None:
                faces.append((_row(face, screened.account_id, now), face.attribute))
        events.append(event)
    return replace(screened, events=tuple(events), objects=tuple(objects.new))


def _row(face: FaceDraft, account_id: UUID, create_time: datetime) -> FaceRow:
    assert face.face_id is not None  # noqa: S101  # `decide` sets it
    return FaceRow(
        id=0,
        face_id=face.face_id,
        account_id=account_id,
        event_id=face.event_id,
        user_data=face.user_data,
        create_time=create_time,
        external_id=face.external_id,
        avatar=face.avatar or "",
        lists=list(face.lists),
    )
