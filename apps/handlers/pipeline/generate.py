"""The way of a photograph through a handler: recognise, screen, match, tag, store."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from apps.accounts.principal import Principal
from apps.common.errors import LunaError
from apps.common.filters import accepts
from apps.handlers.pipeline.matching import persons_match
from apps.handlers.pipeline.persons import check_one_face, person_of_descriptor, persons_of_sightings
from apps.handlers.pipeline.screening import screen
from apps.handlers.pipeline.storage import persons_store
from apps.handlers.policies import Policies
from apps.handlers.types import (
    EventParams,
    GenerationResult,
    ImageOutcome,
    Person,
    Rejected,
    Sighting,
)
from apps.recognition.api.input_types import Inputs, Picture
from apps.recognition.facade import recognise
from apps.recognition.types import ImageResult, MultifacePolicy, Plan


def generate_events(
    *,
    principal: Principal,
    handler_id: UUID | None,
    policies: Policies,
    inputs: Inputs,
    params: EventParams,
) -> GenerationResult:
    """One event a face (or one in all, aggregated), stored and published as the policies say.

    A picture that fails does not stop the others, unless it was the whole request: then its error is raised, as is
    LunaError 200005 for an estimator that is not there, 34003 for aggregation of raw descriptors, 11069 for candidates
    of an account that is not visible, 11038 for several faces in a picture to be aggregated, and what storing raises.
    """
    if params.aggregate and inputs.descriptors:
        raise LunaError(34003)
    clock = _Clock()
    with clock.stage("recognise"):
        results = recognise_pictures(inputs, plan_of(policies, use_exif=params.use_exif))
    passed, rejected = _screened(inputs.pictures, results, policies, aggregate=params.aggregate)
    persons = persons_of_sightings(passed, handler_id=handler_id, params=params, meta=inputs.meta)
    outcomes = [
        ImageOutcome(filename=picture.image.filename, error=result.error, exif=result.exif)
        for picture, result in zip(inputs.pictures, results, strict=True)
    ]
    for name, data in inputs.descriptors:
        try:
            persons.append(person_of_descriptor(data, handler_id=handler_id, params=params, meta=inputs.meta))
            outcomes.append(ImageOutcome(filename=name))
        except LunaError as error:
            outcomes.append(ImageOutcome(filename=name, error=error))
    raise_if_alone(inputs, outcomes)
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
        rejected=tuple(rejected),
        shown=shown,
        stage_ms={**clock.stage_ms, **{f"image.{name}": ms for name, ms in _sums(results).items()}},
    )


def plan_of(policies: Policies, *, use_exif: bool) -> Plan:
    """What the engine is asked for."""
    detect = policies.detect_policy
    return Plan(
        detect_face=detect.detect_face,
        detect_body=detect.detect_body,
        estimators=policies.estimators,
        multiface=detect.multiface_policy,
        use_exif=use_exif,
        extract_exif=detect.extract_exif,
    )


def recognise_pictures(inputs: Inputs, plan: Plan) -> list[ImageResult]:
    """A result for each picture of a request; those that could not be read keep their error."""
    readable = [picture.image for picture in inputs.pictures if picture.error is None]
    found = iter(recognise(readable, plan) if readable else ())
    return [
        next(found) if picture.error is None else ImageResult(picture.image.filename, error=picture.error)
        for picture in inputs.pictures
    ]


def raise_if_alone(inputs: Inputs, outcomes: Sequence[ImageOutcome]) -> None:
    """The error of a picture that was the request's whole body is the request's."""
    if inputs.alone and outcomes[0].error is not None:
        raise outcomes[0].error


def _screened(
    pictures: Sequence[Picture], results: Sequence[ImageResult], policies: Policies, *, aggregate: bool
) -> tuple[list[Sighting], list[Rejected]]:
    passed, rejected = [], []
    for picture, result in zip(pictures, results, strict=True):
        if aggregate and policies.detect_policy.multiface_policy is not MultifacePolicy.BEST:
            check_one_face(result.filename, result.faces)
        for face in result.faces:
            if reasons := screen(face, policies):
                rejected.append(Rejected(filename=result.filename, face=face, reasons=reasons))
            else:
                passed.append(Sighting(picture=picture, face=face))
    return passed, rejected


def _tagged(person: Person, policies: Policies) -> Person:
    facts = person.draft.facts()
    new = [each.tag for each in policies.conditional_tags_policy if accepts(each.filters, facts)]
    tags = tuple(dict.fromkeys((*person.draft.tags, *new)))
    return replace(person, draft=replace(person.draft, tags=tags))


def _sums(results: Sequence[ImageResult]) -> Mapping[str, float]:
    sums: dict[str, float] = {}
    for result in results:
        for name, ms in result.stage_ms.items():
            sums[name] = sums.get(name, 0.0) + ms
    return sums


class _Clock:
    """Milliseconds of named stages."""

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stage_ms[name] = (time.perf_counter() - started) * 1e3
