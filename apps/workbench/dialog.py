"""The matching dialog: references against candidates, with the false match rate of the threshold. Nothing is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.common import errors
from apps.common.descriptors import DescriptorVersion, Kind, versions
from apps.common.errors import LunaError
from apps.common.filters import Filters
from apps.common.refusals import refusal_text
from apps.common.scope import Scope
from apps.events.selectors import events_filter
from apps.faces.selectors import faces_filter
from apps.matching.candidates import FACES, candidates_make
from apps.matching.matcher import match_all
from apps.matching.references import reference_limit, references_resolve
from apps.matching.types import Block, Match, Probe, Reference
from apps.recognition.calibration import HIGHEST_STATED, false_alarms, stated_fmr
from apps.recognition.inputs.types import Inputs
from apps.recognition.request.build import recognition_request
from apps.recognition.run.pictures import recognise_pictures
from apps.workbench.searches import time_limited
from apps.workbench.uploads import rect_of, shown

COUNTED = 100_000  # candidates


@dataclass(frozen=True, slots=True)
class Asked:
    """One reference: a stored object, or a person in an uploaded photograph with its `crop`."""

    name: str
    probe: Probe
    crop: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A match, the list in which it was searched (None for all), and the false match rate at its similarity.

    `at_most`: the rate is an upper bound, because the calibration states none at so high a similarity.
    """

    match: Match
    list_id: UUID | None
    rate: float | None
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Results by reference.

    `rate`: the false match rate at the threshold; `alarms`: the share of searches for an unlisted person with a false
    candidate. Both are None if the calibration of the version states no rate. `candidates`: their number, at most
    `COUNTED`, which means at least so many.
    """

    version: DescriptorVersion
    results: Sequence[tuple[Asked, Sequence[Result]]]
    rate: float | None
    candidates: int
    alarms: float | None


def references_stored(
    *, scope: Scope, face_ids: Sequence[UUID], event_ids: Sequence[UUID], kind: Kind
) -> list[Asked]:  # fmt: skip
    """Return stored references. Raises the errors of `references_resolve`."""
    named = [Reference("face", str(each)) for each in face_ids] + [Reference("event", str(each)) for each in event_ids]
    resolved = references_resolve(scope=scope, references=named, version=versions.default(kind))
    return [Asked(f"{reference.type} {reference.id}", probe) for reference, probe in resolved]


def references_uploaded(*, inputs: Inputs, kind: Kind) -> tuple[list[Asked], dict[str, str]]:
    """Return the persons of uploaded photographs, and the problems of photographs by name.

    Raises LunaError ESTIMATOR_NOT_INITIALIZED without a network for the descriptors.
    """
    estimator = f"{kind}_descriptor"
    request = recognition_request(faces=kind == "face", bodies=kind == "body", estimations=[estimator])
    asked: list[Asked] = []
    problems: dict[str, str] = {}
    for picture in recognise_pictures(_each_alone(inputs), request):
        name = picture.filename
        if picture.result.error is not None:
            problems[name] = refusal_text(picture.result.error)
            continue
        persons = [each for each in picture.persons if _descriptor(each, kind) is not None]
        if not persons:
            problems[name] = _("nobody was found")
            continue
        crops = shown(picture.picture.image.data, map(rect_of, persons)).crops
        for number, person in enumerate(persons, 1):
            found = _descriptor(person, kind)
            probe = Probe(f"{name} {number}", "raw_descriptor", found.version, found.vector)
            label = name if len(persons) == 1 else f"{name}, {number}"
            asked.append(Asked(label, probe, crops[number - 1] if crops else ""))
    return asked, problems


def _each_alone(inputs: Inputs) -> Inputs:
    """Return the inputs so that the error of one photograph is a problem of this photograph only."""
    return Inputs(pictures=inputs.pictures)


def _descriptor(person: Any, kind: Kind) -> Any:
    found = person.face if kind == "face" else person.body
    return None if found is None else found.estimations.get(f"{kind}_descriptor")


def dialog_match(
    *,
    scope: Scope,
    references: Sequence[Asked],
    origin: str,
    filters: Filters,
    list_ids: Sequence[UUID],
    limit: int,
    threshold: float,
) -> Answer:
    """Match references with faces or events. `list_ids`: the lists that are searched, empty for all faces.

    Raises LunaError TOO_MANY_REFERENCES, the errors of `match_all`, and WorkbenchError for a slow
    search.
    """
    if not references:
        raise LunaError(errors.INVALID_REQUEST, _("give a reference: a face, an event or a photograph"))
    reference_limit().check(len(references))
    version = versions.get(references[0].probe.version)
    searched: list[tuple[UUID | None, Filters]] = (
        [(list_id, {**filters, "list_id": list_id}) for list_id in list_ids]
        if origin == FACES and list_ids
        else [(None, filters)]
    )
    blocks = [
        Block(candidates_make(origin=origin, scope=scope, filters=each), limit, threshold) for _list, each in searched
    ]
    with time_limited():
        found = match_all(probes=[each.probe for each in references], blocks=blocks)
        count = _count(scope, origin, [each for _list, each in searched])
    results = [
        (asked, _best(of_blocks, [list_id for list_id, _filters in searched], version, limit))
        for asked, of_blocks in zip(references, found, strict=True)
    ]
    rate = stated_fmr(version, threshold)
    return Answer(version, results, rate, count, None if rate is None else false_alarms(rate, count))


def _best(
    found: Sequence[Sequence[Match]], list_ids: Sequence[UUID | None], version: DescriptorVersion, limit: int
) -> list[Result]:
    """Return the most similar matches of all lists, each object once."""
    best: dict[UUID, Result] = {}
    for matches, list_id in zip(found, list_ids, strict=True):
        for each in matches:
            rate = stated_fmr(version, min(each.similarity, HIGHEST_STATED))
            best.setdefault(each.object_id, Result(each, list_id, rate, each.similarity > HIGHEST_STATED))
    return sorted(best.values(), key=lambda each: -each.match.similarity)[:limit]


def _count(scope: Scope, origin: str, searched: Sequence[Filters]) -> int:
    """Return the number of candidates, at most `COUNTED`. A face in several lists counts in each."""
    read: Any = faces_filter if origin == FACES else events_filter
    total = 0
    for filters in searched:
        total += read(scope=scope, filters=filters)[: COUNTED - total].count()
    return total


def names_of(matches: Sequence[Match]) -> Mapping[UUID, str]:
    """Return the names of matched objects by id: user data, else external id, else the id."""
    found = {}
    for each in matches:
        known = each.face or each.event
        found[each.object_id] = (known and (known.user_data or known.external_id)) or str(each.object_id)
    return found
