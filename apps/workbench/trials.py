"""Trials of policies on photographs before they are saved. Nothing is stored or sent, and no trial is counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.adminbase.filters import readable
from apps.accounts.auth.principal import Principal
from apps.common.filters.enums import (
    ApparentGender,
    Deepfake,
    Emotion,
    EthnicGroup,
    Gender,
    Liveness,
    Mask,
    Number,
)
from apps.common.refusals import refusal_text
from apps.common.times import utc_now
from apps.faces.types import FaceDraft
from apps.handlers.pipeline.generate import events_try
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import policies_parse
from apps.handlers.policies.verifier import verifier_policies_parse
from apps.handlers.shapes import generation_body
from apps.handlers.types import EventParams, GeneratedEvent
from apps.handlers.verification import verifications_try
from apps.matching.types import Match, Reference
from apps.recognition.inputs.types import Inputs
from apps.workbench.uploads import Shown, rect_of, shown

Names = Mapping[UUID, str]
NOT_SHOWN = Shown()
# Columns of an event with their enumerations; None: a number.
FACTS: Mapping[str, type[Number] | None] = {
    "gender": Gender,
    "age": None,
    "ethnic_group": EthnicGroup,
    "emotion": Emotion,
    "mask": Mask,
    "liveness": Liveness,
    "deepfake": Deepfake,
    "apparent_gender": ApparentGender,
    "apparent_age": None,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate of a trial, with the verdict of a verifier: None without one."""

    label: str
    match: Match
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A person in a trial: the picture, the estimations, the candidates, the tags and what would be done."""

    crop: str
    facts: Mapping[str, str]
    candidates: Sequence[Candidate] = ()
    tags: Sequence[str] = ()
    consequences: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TriedPicture:
    """A photograph of a trial. `rejected`: the reasons of rejected faces; `error`: why it could not be used."""

    name: str
    shown: Shown = NOT_SHOWN
    persons: Sequence[Tried] = ()
    rejected: Sequence[tuple[str, str]] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """Result of a trial. `answer`: the JSON that the API would answer; its ids do not exist."""

    pictures: Sequence[TriedPicture]
    answer: Any = None
    stage_ms: Mapping[str, float] = field(default_factory=dict)


def handler_try(*, principal: Principal, policies: Any, inputs: Inputs, names: Names) -> Trial:
    """Execute the policies (decoded JSON) of a handler on photographs. `names`: names of lists.

    Raises the errors of `policies_parse` and `events_try`.
    """
    run = events_try(
        principal=principal,
        policies=policies_parse(policies),
        inputs=inputs,
        params=EventParams(create_time=utc_now()),
    )
    candidates = [
        [Candidate(found.label, match) for found in event.matches for match in found.matches] for event in run.events
    ]
    consequences = [list(_consequences(event, names)) for event in run.events]
    return Trial(list(_pictures(run, candidates, consequences)), generation_body(run), run.stage_ms)


def verifier_try(*, principal: Principal, policies: Any, inputs: Inputs, face_ids: Sequence[UUID]) -> Trial:
    """Execute the policies (decoded JSON) of a verifier on photographs, against stored faces.

    Raises the errors of `verifier_policies_parse` and `verifications_try`.
    """
    tried = verifications_try(
        principal=principal,
        policies=verifier_policies_parse(policies),
        candidates=[Reference("face", str(face_id)) for face_id in face_ids],
        inputs=inputs,
        params=EventParams(create_time=utc_now()),
    )
    candidates = [[Candidate("", each.match, each.status) for each in found] for found in tried.comparisons]
    return Trial(list(_pictures(tried.run, candidates, [[] for _each in candidates])), None, tried.run.stage_ms)


def _pictures(
    run: Run, candidates: Sequence[Sequence[Candidate]], consequences: Sequence[Sequence[str]]
) -> Iterator[TriedPicture]:
    """Yield the pictures with their persons. The events of a run are those of its persons, in their order."""
    of_events = iter(zip(run.events, candidates, consequences, strict=True))
    for picture in run.pictures:
        error = picture.result.error
        if error is not None:
            yield TriedPicture(picture.filename, error=refusal_text(error))
            continue
        persons, rejected = picture.persons, picture.rejected
        drawn = shown(picture.picture.image.data, [rect_of(each) for each in (*persons, *rejected)])
        crops = iter(drawn.crops)
        tried = [
            Tried(next(crops, ""), _facts(event), found, event.draft.tags, done)
            for _person, (event, found, done) in zip(persons, of_events, strict=False)
        ]
        reasons = [
            (next(crops, ""), "; ".join(f"{each.filter_name}: {each.object_value}" for each in one.reasons))
            for one in rejected
        ]
        yield TriedPicture(picture.filename, drawn, tried, reasons)


def _facts(event: GeneratedEvent) -> Mapping[str, str]:
    """Return the estimations of an event, in the language of the page."""
    found = ((name, kind, getattr(event.draft, name)) for name, kind in FACTS.items())
    return {
        readable(name): str(value) if kind is None else readable(kind(value).word)
        for name, kind, value in found
        if value is not None
    }


def _consequences(event: GeneratedEvent, names: Names) -> Iterator[str]:
    """Yield a sentence for each thing that a request would store or send."""
    decision = event.decision
    if decision.store_event:
        yield _("An event is stored.")
    if event.face is not None:
        yield _face(event.face, names)
    if event.samples or event.body_samples:
        count = len(event.samples) + len(event.body_samples)
        yield ngettext("%(count)d sample is stored.", "%(count)d samples are stored.", count) % {"count": count}
    if any(person.image_origin for person in event.persons):
        yield _("The source image is stored.")
    if decision.attribute is not None:
        yield _("A temporary attribute is stored.")
    if decision.websockets:
        yield _("Websockets are notified.")
    for target in decision.callbacks:
        yield _("A callback is sent to %(place)s.") % {"place": target.place}


def _face(face: FaceDraft, names: Names) -> str:
    if not face.lists:
        return _("A face is stored.")
    attached = ", ".join(names.get(list_id, str(list_id)) for list_id in face.lists)
    return _("A face is stored in the lists: %(lists)s.") % {"lists": attached}
