"""Stage `match`: match the faces and bodies of events with candidates by match_policy."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from apps.accounts.auth.principal import Principal
from apps.common.config import config
from apps.common.descriptors import versions
from apps.common.filters import accepts
from apps.common.filters.enums import ObjectType
from apps.faces.filters import FACE_TERMS
from apps.faces.types import AttributeData, FaceRow
from apps.handlers.config import HandlersLimits
from apps.handlers.messages import matches_block
from apps.handlers.pipeline.run import Run
from apps.handlers.policies.match import BODY, EVENT_TARGETS, MatchPolicy, candidates_account
from apps.handlers.types import GeneratedEvent, LabelMatches
from apps.matching import matcher
from apps.matching.candidates import EVENTS, FACES
from apps.matching.shapes import TARGETS_OF
from apps.matching.types import Block, Match, Probe

NewFace = tuple[FaceRow, AttributeData]
"""Face that an earlier event of the request stores, with its descriptors. Its database key is not known yet."""
KEPT = frozenset({"external_id"})  # of the most similar match


def match(run: Run) -> Run:
    """Apply the match policies in order, each to all events at once.

    The filters of a policy use the matches of earlier policies. Raises LunaError FOREIGN_ACCOUNT_ID for candidates of
    an account outside the principal's scope.
    """
    return matched(run, ())


def matched(run: Run, faces: Sequence[NewFace]) -> Run:
    """Apply the match policies, as `match` does. The new `faces` of the account are candidates, too."""
    events = list(run.events)
    for policy in run.policies.match_policy:
        block = _block(policy, run.principal)
        probes = {
            place: Probe(str(event.draft.event_id), "raw_descriptor", descriptor.version, descriptor.vector)
            for place, event in enumerate(events)
            if (descriptor := event.body_descriptor if policy.descriptor == BODY else event.descriptor) is not None
            and accepts(policy.filters, event.draft.facts())
        }
        found = matcher.match(probes=list(probes.values()), block=block)
        rows = _candidates(policy, run, faces) if faces else []
        for place, matches in zip(probes, found, strict=True):
            near = [*matches, *_near(probes[place], rows, policy.threshold)]
            near.sort(key=lambda each: -each.similarity)  # stable: equal similarities keep the order of storage
            events[place] = _with_matches(events[place], policy, near[: block.limit])
    return replace(run, events=tuple(_with_top_match(event) for event in events))


def _block(policy: MatchPolicy, principal: Principal) -> Block:
    """Return the candidates of a policy, with the targets of its message and of the event."""
    wanted = policy.candidates
    known = frozenset(TARGETS_OF[wanted.origin])
    defaults = EVENT_TARGETS if wanted.origin == EVENTS else known
    return Block(
        wanted.of(candidates_account(wanted, principal)),
        limit=_limit(policy),
        threshold=policy.threshold,
        targets=(policy.targets & known if policy.targets else defaults) | KEPT,
    )


def _limit(policy: MatchPolicy) -> int:
    """Return the limit of a policy; a stored one can exceed a setting that was lowered later."""
    return min(policy.limit, config(HandlersLimits).result_candidate_limit)


def _candidates(policy: MatchPolicy, run: Run, faces: Sequence[NewFace]) -> list[NewFace]:
    """Return the faces that are candidates of a policy."""
    wanted = policy.candidates
    if wanted.origin != FACES or wanted.account_id not in (None, run.account_id):
        return []
    return [face for face in faces if accepts(wanted.filters, face[0]._asdict(), FACE_TERMS)]


def _near(probe: Probe, rows: Sequence[NewFace], threshold: float) -> Iterator[Match]:
    """Yield the faces with a similarity of at least `threshold`."""
    calibration = versions.get(probe.version).calibration
    for row, attribute in rows:
        descriptor = attribute.descriptor(probe.version)
        if descriptor is not None:
            similarity = calibration.similarity(float(np.dot(probe.vector, descriptor.vector)))
            if similarity >= threshold:
                yield Match(similarity, row.face_id, face=row)


def _with_matches(event: GeneratedEvent, policy: MatchPolicy, matches: Sequence[Match]) -> GeneratedEvent:
    found = LabelMatches(label=policy.label, matches=tuple(matches), targets=policy.targets)
    column = [*event.draft.match_result, matches_block(found, nested=False)]
    return replace(event, matches=(*event.matches, found), draft=replace(event.draft, match_result=column))


def _with_top_match(event: GeneratedEvent) -> GeneratedEvent:
    """Set the top match: the highest similarity of all labels, and the first of equal ones.

    A temporary attribute leaves the object's id and type null: they name faces and events only, and attributes expire.
    """
    pairs = [(found.label, match) for found in event.matches for match in found.matches]
    if not pairs:
        return event
    label, top = max(pairs, key=lambda pair: pair[1].similarity)
    draft = replace(event.draft, top_matching_candidates_label=label, top_similar_object_similarity=top.similarity)
    if found := top.face or top.event:
        draft = replace(
            draft,
            top_similar_object_id=top.object_id,
            top_similar_object_type=(ObjectType.EVENT if top.face is None else ObjectType.FACE).value,
            top_similar_external_id=found.external_id,
        )
    return replace(event, draft=draft)
