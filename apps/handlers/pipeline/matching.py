"""match_policy: compares persons with faces and events, and notes the best of all in the draft."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from apps.accounts.auth.principal import Principal
from apps.common.filters import accepts
from apps.common.filters.enums import ObjectType
from apps.common.scope import Scope
from apps.common.times import format_time
from apps.events.models import Event
from apps.faces.shapes import face_shape
from apps.handlers.policies.match import EVENT_TARGETS, FACE_TARGETS, MatchPolicy, candidates_account
from apps.handlers.types import Candidate, LabelMatches, Person
from apps.matching.candidates import EVENTS
from apps.matching.matcher import match
from apps.matching.types import EventCandidates, FaceCandidates, Match, Probe


def persons_match(*, persons: Sequence[Person], policies: Sequence[MatchPolicy], principal: Principal) -> list[Person]:
    """Policy after policy, all persons of a policy at once: the filters of a policy see what earlier ones found.

    Raises LunaError FOREIGN_ACCOUNT_ID for candidates of an account that the principal may not see.
    """
    matched = list(persons)
    for policy in policies:
        candidates = _candidates(policy, principal)
        places = [
            place
            for place, person in enumerate(matched)
            if person.descriptor is not None and accepts(policy.filters, person.draft.facts())
        ]
        found = match(probes=[_probe(matched[place]) for place in places], candidates=candidates) if places else ()
        for place, matches in zip(places, found, strict=True):
            matched[place] = _with_matches(matched[place], policy, matches)
    return [_with_top(person) for person in matched]


def _candidates(policy: MatchPolicy, principal: Principal) -> FaceCandidates | EventCandidates:
    wanted = policy.candidates
    scope = Scope(candidates_account(wanted, principal))
    if wanted.origin == EVENTS:
        return EventCandidates(scope=scope, filters=wanted.events, limit=policy.limit, threshold=policy.threshold)
    return FaceCandidates(scope=scope, filters=wanted.faces, limit=policy.limit, threshold=policy.threshold)


def _probe(person: Person) -> Probe:
    assert person.descriptor is not None  # noqa: S101 (the caller chose those that have one)
    return Probe(str(person.draft.event_id), "raw_descriptor", person.descriptor.version, person.descriptor.vector)


def _with_matches(person: Person, policy: MatchPolicy, matches: Sequence[Match]) -> Person:
    found = LabelMatches(label=policy.label, candidates=tuple(_candidate(each, policy) for each in matches))
    shown = {"label": policy.label, "candidates": [candidate.shown for candidate in found.candidates]}
    draft = replace(person.draft, match_result=[*person.draft.match_result, shown])
    return replace(person, matches=(*person.matches, found), draft=draft)


def _candidate(match: Match, policy: MatchPolicy) -> Candidate:
    shown: dict[str, Any] = {"face": None, "event": None, "similarity": match.similarity}
    if match.face is not None:
        shown["face"] = face_shape(match.face, policy.targets or FACE_TARGETS)
        kind, external_id = ObjectType.FACE, match.face.external_id
    else:
        assert match.event is not None  # noqa: S101 (candidates are faces or events)
        shown["event"] = _event_shape(match.event, policy.targets or frozenset(EVENT_TARGETS))
        kind, external_id = ObjectType.EVENT, match.event.external_id
    return Candidate(
        object_id=match.object_id,
        object_type=kind.value,
        external_id=external_id,
        similarity=match.similarity,
        shown=shown,
    )


def _event_shape(event: Event, targets: frozenset[str]) -> dict[str, Any]:
    shape = {
        "event_id": str(event.event_id),
        "account_id": str(event.account_id),
        "external_id": event.external_id,
        "user_data": event.user_data,
        "create_time": format_time(event.create_time),
        "handler_id": event.handler_id and str(event.handler_id),
        "source": event.source,
    }
    return {name: value for name, value in shape.items() if name in targets}


def _with_top(person: Person) -> Person:
    """The most similar candidate of all labels; of equal ones the first."""
    pairs = [(found.label, candidate) for found in person.matches for candidate in found.candidates]
    if not pairs:
        return person
    label, top = max(pairs, key=lambda pair: pair[1].similarity)
    draft = replace(
        person.draft,
        top_matching_candidates_label=label,
        top_similar_object_id=top.object_id,
        top_similar_object_type=top.object_type,
        top_similar_object_similarity=top.similarity,
        top_similar_external_id=top.external_id,
    )
    return replace(person, draft=draft)
