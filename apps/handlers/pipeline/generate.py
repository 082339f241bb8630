"""The way of a photograph through a handler: recognise, screen, match, tag, store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from apps.accounts.auth.principal import Principal
from apps.common import errors
from apps.common.clock import Clock
from apps.common.errors import LunaError
from apps.common.filters import accepts
from apps.handlers.pipeline.matching import persons_match
from apps.handlers.pipeline.persons import persons_of_descriptors, persons_of_sightings
from apps.handlers.pipeline.recognition import outcome_of, plan_of, sightings_of
from apps.handlers.pipeline.storage import persons_store
from apps.handlers.policies import Policies
from apps.handlers.types import (
    EventParams,
    GenerationResult,
    ImageOutcome,
    Person,
)
from apps.matching.references import MAX_REFERENCES
from apps.recognition.inputs.types import DescriptorFile, Inputs
from apps.recognition.run.pictures import RecognisedPicture, check_one_person, recognise_pictures
from apps.recognition.types import MultifacePolicy


def generate_events(
    *,
    principal: Principal,
    handler_id: UUID | None,
    policies: Policies,
    inputs: Inputs,
    params: EventParams,
) -> GenerationResult:
    """One event a person (or one in all, aggregated), stored and published as the policies say.

    A picture that fails does not stop the others, unless it was the whole request: then its error is raised, as is
    LunaError ESTIMATOR_NOT_INITIALIZED for an estimator that is not there, NO_AGGREGATION_OF_DESCRIPTORS for
    aggregation of descriptors, TOO_MANY_REFERENCES for too many of them, INVALID_JSON for a lone one under policies
    that need a picture, FOREIGN_ACCOUNT_ID for candidates of an account that is not visible, MULTIPLE_FACES_FOUND or
    MULTIPLE_BODIES_FOUND for several faces or bodies in a picture to be aggregated, and what storing raises.
    """
    if params.aggregate and inputs.descriptors:
        raise LunaError(errors.NO_AGGREGATION_OF_DESCRIPTORS)
    files = _usable(inputs, policies)
    clock = Clock()
    with clock.stage("recognise"):
        seen = recognise_pictures(inputs, plan_of(policies, use_exif=params.use_exif), policies.limits)
    if params.aggregate and policies.detect_policy.multiface_policy is not MultifacePolicy.BEST:
        check_one_person([each.result for each in seen])
    persons = persons_of_sightings(sightings_of(seen), handler_id=handler_id, params=params, meta=inputs.meta)
    outcomes = [outcome_of(each) for each in seen]
    for file in files:
        outcomes.append(ImageOutcome(filename=file.filename, error=file.error))
        persons += persons_of_descriptors(file, handler_id=handler_id, params=params, meta=inputs.meta)
    with clock.stage("match"):
        persons = persons_match(persons=persons, policies=policies.match_policy, principal=principal)
    persons = [_tagged(person, policies) for person in persons]
    shown = policies.detect_policy.shown
    with clock.stage("store"):
        persons = persons_store(
            account_id=principal.account_id, persons=persons, policy=policies.storage_policy, shown=shown
        )
    return GenerationResult(
        images=tuple(outcomes),
        persons=tuple(persons),
        rejected=tuple(face for each in seen for face in each.rejected),
        shown=shown,
        coordinates=policies.detect_policy.people_count_coordinates,
        stage_ms={**clock.stage_ms, **{f"image.{name}": ms for name, ms in _sums(seen).items()}},
    )


def _usable(inputs: Inputs, policies: Policies) -> list[DescriptorFile]:
    """The descriptors of a request, with an error where the policies ask for more than a descriptor tells."""
    if sum(len(file.descriptors) for file in inputs.descriptors) > MAX_REFERENCES:
        raise LunaError(errors.TOO_MANY_REFERENCES, MAX_REFERENCES)
    asked = policies.needing_pictures
    if not inputs.descriptors or not asked:
        return list(inputs.descriptors)
    refused = LunaError(errors.INVALID_JSON, f"A descriptor holds no picture for this. Path: 'policies.{asked[0]}'")
    if inputs.alone:
        raise refused
    return [replace(file, descriptors=(), error=file.error or refused) for file in inputs.descriptors]


def _tagged(person: Person, policies: Policies) -> Person:
    facts = person.draft.facts()
    new = [each.tag for each in policies.conditional_tags_policy if accepts(each.filters, facts)]
    tags = tuple(dict.fromkeys((*person.draft.tags, *new)))
    return replace(person, draft=replace(person.draft, tags=tags))


def _sums(seen: Sequence[RecognisedPicture]) -> Mapping[str, float]:
    sums: dict[str, float] = {}
    for each in seen:
        for name, ms in each.result.stage_ms.items():
            sums[name] = sums.get(name, 0.0) + ms
    return sums
