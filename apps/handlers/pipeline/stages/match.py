"""Stage `match`: match the faces and bodies of events with candidates by match_policy."""

from collections.abc import Sequence
from dataclasses import replace

from apps.accounts.auth.principal import Principal
from apps.common.filters import accepts
from apps.common.filters.enums import ObjectType
from apps.handlers.messages import matches_block
from apps.handlers.pipeline.run import Run
from apps.handlers.policies.match import BODY, EVENT_TARGETS, MatchPolicy, candidates_account
from apps.handlers.types import GeneratedEvent, LabelMatches
from apps.matching import matcher
from apps.matching.candidates import EVENTS
from apps.matching.shapes import TARGETS_OF
from apps.matching.types import Block, Match, Probe

KEPT = frozenset({"external_id"})  # of the most similar match


def match(run: Run) -> Run:
    """Apply the match policies in order, each to all events at once.

    The filters of a policy use the matches of earlier policies. Raises LunaError FOREIGN_ACCOUNT_ID for candidates of
    an account outside the principal's scope.
    """
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
        for place, matches in zip(probes, found, strict=True):
            events[place] = _with_matches(events[place], policy, matches)
    return replace(run, events=tuple(_with_top_match(event) for event in events))


def _block(policy: MatchPolicy, principal: Principal) -> Block:
    """Return the candidates of a policy, with the targets of its message and of the event."""
    wanted = policy.candidates
    known = frozenset(TARGETS_OF[wanted.origin])
    defaults = EVENT_TARGETS if wanted.origin == EVENTS else known
    return Block(
        wanted.of(candidates_account(wanted, principal)),
        limit=policy.limit,
        threshold=policy.threshold,
        targets=(policy.targets & known if policy.targets else defaults) | KEPT,
    )


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
