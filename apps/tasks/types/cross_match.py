"""Cross-matching: every reference is compared with every candidate."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import orjson
from django.db.models import QuerySet
from rest_framework import serializers

from apps.common import errors
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.common.fields import WholeNumberField, account_field
from apps.common.filters.kinds import FiniteFloatField
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.events.selectors import events_filter
from apps.faces.selectors import faces_filter
from apps.matching.candidates import EVENTS
from apps.matching.cross import GROUP_MAX, cross_match, described_count, lacking, pairs_check
from apps.matching.types import DEFAULT_LIMIT, AttributeCandidates, Candidates, FaceCandidates
from apps.tasks.choices import TaskKind
from apps.tasks.filters import scope_narrowed
from apps.tasks.ranges import KeyRange, key_ranges
from apps.tasks.sets import SetsField, cross_limits, sets_make
from apps.tasks.types.base import Part, Result, SubtaskRun, TaskRun, TaskType

SUBTASK_PAIRS = 200_000_000  # less than a minute, so that an interruption loses little
PIECE_REFERENCES = 100


class CrossFilters(StrictSerializer):
    """The objects that are compared."""

    reference_filters = SetsField()
    candidate_filters = SetsField()


class CrossMatchContent(StrictSerializer):
    """References and candidates. The result has the `limit` most similar candidates with at least `threshold`."""

    example: ClassVar[dict[str, Any]] = {
        "descriptor_type": "face",
        "filters": {
            "reference_filters": [{"origin": "events", "sources": ["entrance camera"]}],
            "candidate_filters": [{"origin": "faces", "user_data": "employee"}],
        },
        "limit": 3,
        "threshold": 0.6,
    }
    descriptor_type = serializers.ChoiceField(choices=("face", "body"), default="face")
    filters = CrossFilters()
    limit = WholeNumberField(min_value=1, max_value=2**31 - 1, default=DEFAULT_LIMIT)
    threshold = FiniteFloatField(min_value=0, max_value=1, default=0.0)
    account_id = account_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["descriptor_type"] == "body":
            for name, sets in attrs["filters"].items():
                if any(each["origin"] != EVENTS for each in sets):
                    problem = "only events have bodies: `origin` must be `events`."
                    raise serializers.ValidationError({"filters": {name: problem}})
        return attrs


class CrossMatch(TaskType):
    """One subtask, or several if there are more than `SUBTASK_PAIRS` pairs; an interrupted one is executed again."""

    name, number = "cross_match", TaskKind.CROSS_MATCH
    Content = CrossMatchContent

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Raises LunaError TOO_MANY_REFERENCES for a `limit` above `result_candidate_limit`.

        ESTIMATOR_NOT_INITIALIZED without a network for descriptors of the type, and those of `sets_make`.
        """
        most = cross_limits().result_candidate_limit
        if content["limit"] > most:
            raise LunaError(errors.TOO_MANY_REFERENCES, most)
        versions.default(content["descriptor_type"])
        for name in content["filters"]:
            _sets(content, name, scope)

    def split(self, run: TaskRun) -> Iterable[Part]:
        """Check the objects, record named references that cannot be compared, and divide the references.

        Raises LunaError CROSS_MATCHING_OBJECTS_NOT_FOUND, TOO_MANY_CROSS_MATCHING_OBJECTS, and those of `check`.
        """
        self.check(run.content, scope=run.scope, scheduled=False)
        version = versions.default(run.content["descriptor_type"])
        references = _sets(run.content, "reference_filters", run.scope)
        candidates = _sets(run.content, "candidate_filters", run.scope)
        for object_id, error in lacking(references, version):
            run.error(error, info=str(object_id))
        run.check()
        pairs_check(
            references=references, candidates=candidates, version=version, general_limit=cross_limits().general_limit
        )
        size = max(GROUP_MAX, SUBTASK_PAIRS // described_count(candidates, version))
        for number, each in enumerate(references):
            for after, until, objects in _ranges(run, each, size, version):
                if objects:
                    yield Part(content={"set": number, "after": after, "until": until}, parts=objects)

    def process(self, run: SubtaskRun) -> Result:
        return _result(run)

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        return _array(orjson.dumps(each)[1:-1] for each in results)


def _sets(content: Any, name: str, scope: Scope) -> list[Candidates]:
    return sets_make(content["filters"][name], scope=scope_narrowed(scope, [content.get("account_id")]))


def _ranges(run: TaskRun, references: Candidates, size: int, version: DescriptorVersion) -> list[KeyRange]:
    if isinstance(references, AttributeCandidates):
        count = described_count(references, version)
        return [KeyRange(start, min(start + size, count), min(size, count - start)) for start in range(0, count, size)]
    select = faces_filter if isinstance(references, FaceCandidates) else events_filter
    rows: QuerySet[Any] = select(scope=references.scope, filters=references.filters)
    return key_ranges(rows, size=size, check=run.check)


def _result(run: SubtaskRun) -> Iterator[bytes]:
    content, part = run.content, run.part
    matched = cross_match(
        references=_sets(content, "reference_filters", run.scope)[part["set"]],
        candidates=_sets(content, "candidate_filters", run.scope),
        version=versions.default(content["descriptor_type"]),
        limit=content["limit"],
        threshold=content["threshold"],
        after=part["after"],
        until=part["until"],
        check=run.check,
    )

    def pieces() -> Iterator[bytes]:
        for done, each in enumerate(matched, 1):
            if done % PIECE_REFERENCES == 0:
                run.check()
                run.progress(done)
            candidates = [{"candidate_id": found, "similarity": similarity} for found, similarity in each.matches]
            yield orjson.dumps({"reference_id": each.reference_id, "candidates": candidates})

    return _array(pieces())


def _array(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a JSON array of pieces: items, or several joined by commas."""
    comma = b"["
    for piece in pieces:
        if piece:
            yield comma + piece
            comma = b","
    yield b"]" if comma == b"," else b"[]"


TYPE = CrossMatch()
