"""Add the tags of conditional_tags_policy."""

from dataclasses import replace

from apps.common.filters import accepts
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import Policies
from apps.handlers.types import GeneratedEvent


def tag(run: Run) -> Run:
    """Add the tags of the conditions that hold, behind those that the request gives."""
    return replace(run, events=tuple(_tagged(event, run.policies) for event in run.events))


def _tagged(event: GeneratedEvent, policies: Policies) -> GeneratedEvent:
    facts = event.draft.facts()
    new = [each.tag for each in policies.conditional_tags_policy if accepts(each.filters, facts)]
    tags = tuple(dict.fromkeys((*event.draft.tags, *new)))
    return replace(event, draft=replace(event.draft, tags=tags))
