"""Stage `tag`: add the tags of conditional_tags_policy."""

from collections.abc import Sequence
from dataclasses import replace

from apps.common.filters import accepts
from apps.handlers.pipeline.run import Run
from apps.handlers.policies.tags import ConditionalTag
from apps.handlers.types import GeneratedEvent


def tag(run: Run) -> Run:
    """Append the tag of each condition that holds to the tags of the request."""
    conditions = run.policies.conditional_tags_policy
    return replace(run, events=tuple(_tagged(event, conditions) for event in run.events)) if conditions else run


def _tagged(event: GeneratedEvent, conditions: Sequence[ConditionalTag]) -> GeneratedEvent:
    facts = event.draft.facts()
    new = [each.tag for each in conditions if accepts(each.filters, facts)]
    tags = tuple(dict.fromkeys((*event.draft.tags, *new)))
    return replace(event, draft=replace(event.draft, tags=tags))
