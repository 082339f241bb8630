"""Additional extraction: descriptors of another version, or basic attributes, from stored samples."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common import errors
from apps.common.descriptors import Sampled, versions
from apps.common.errors import LunaError
from apps.common.fields import WholeNumberField, account_field
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.descriptors.extraction import AdditionalExtraction, Batch, Extracted, Samples
from apps.recognition.run.share import yielding
from apps.tasks.choices import TaskKind
from apps.tasks.filters import ObjectFiltersField, ObjectFiltersSerializer, content_scope, filters_checked, source_check
from apps.tasks.ranges import key_ranges
from apps.tasks.sources.reading import waited
from apps.tasks.types.base import Needs, Part, Result, SubtaskRun, TaskRun, TaskType

FACE, BODY, BASIC = "face_descriptor", "body_descriptor", "basic_attributes"
KINDS = {FACE: "face", BODY: "body"}
SUBTASK_OBJECTS = 1000
BATCH_OBJECTS = 16  # of one call of the engine and one transaction
BUSY, BUSY_S = 503, 1.0  # status of a full queue of the engine, and time until the next try
COUNTS = ("extracted", "changed", "without_samples", "failed")


class ExtractionFiltersSerializer(ObjectFiltersSerializer):
    """Filters of faces or of events, by `object_type`; each accepts its own filters only. Times can be relative."""

    object_type = serializers.ChoiceField(choices=("faces", "events"))


@extend_schema_field(ExtractionFiltersSerializer)
class ExtractionFiltersField(ObjectFiltersField):
    """Filters with the type of the objects."""


class ExtractionOptions(StrictSerializer):
    descriptor_version = WholeNumberField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="Not for basic attributes."
    )


class AdditionalExtractContent(StrictSerializer):
    """What is extracted, for faces or events that lack it."""

    example: ClassVar[dict[str, Any]] = {
        "extraction_target": FACE,
        "options": {"descriptor_version": 1004},
        "filters": {"object_type": "faces"},
    }
    extraction_target = serializers.ChoiceField(choices=(FACE, BODY, BASIC))
    options = ExtractionOptions(required=False)
    filters = ExtractionFiltersField(required=True)
    account_id = account_field()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values: dict[str, Any] = super().to_internal_value(data)
        filters = dict(values["filters"])
        objects = filters.pop("object_type", None)
        target = values["extraction_target"]
        if objects not in ("faces", "events"):
            raise serializers.ValidationError({"filters": {"object_type": "`faces` or `events` is required."}})
        if objects == "faces" and target == BODY:
            raise serializers.ValidationError({"extraction_target": "faces have no bodies."})
        version = values.get("options", {}).get("descriptor_version")
        if version is None and target != BASIC:
            raise serializers.ValidationError({"options": {"descriptor_version": "This field is required."}})
        return {
            **values,
            "objects": objects,
            "version": None if target == BASIC else version,
            "filters": filters_checked(objects, filters, context=self.context),
        }


class AdditionalExtract(TaskType):
    """Objects that have the version, or basic attributes, are skipped. Each batch is stored with its checkpoint."""

    name, number = "additional_extract", TaskKind.ADDITIONAL_EXTRACT
    Content = AdditionalExtractContent
    needs = Needs(handlers=True)
    operators_only = True

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Raises LunaError UNKNOWN_DESCRIPTOR_VERSION for a version that is unknown or of another kind.

        UNSUPPORTED_DESCRIPTOR_VERSION, ESTIMATOR_NOT_INITIALIZED: no installed network extracts it.
        EVENTS_SOURCE_DISABLED, FOREIGN_ACCOUNT_ID: see `content_scope`.
        """
        _extraction(content, scope).check()

    def split(self, run: TaskRun) -> Iterable[Part]:
        """Divide the objects by ranges of keys, with one audit line. Raises the errors of `check`."""
        extraction = _extraction(run.content, run.scope)
        extraction.check()
        run.at_end(lambda: extraction.audit(run.actor))
        for after, until, objects in key_ranges(extraction.lacking(), size=SUBTASK_OBJECTS, check=run.check):
            yield Part(content={"after": after, "until": until}, parts=objects)

    def process(self, run: SubtaskRun) -> Result:
        """Extract and store the objects of a range. Raises the errors of `check`."""
        extraction = _extraction(run.content, run.scope)
        while found := extraction.after(run.state.get("after", run.part["after"]), run.part["until"]):
            _store(run, extraction, found, _extracted(run, extraction, extraction.read(found)))
        return _result(extraction, [run.state])

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        return _result(_extraction(run.content, run.scope), [each for each in results if each is not None])


def _extraction(content: Mapping[str, Any], scope: Scope) -> AdditionalExtraction:
    source_check(content["objects"])
    number, target = content["version"], content["extraction_target"]
    version = None if number is None else versions.get(number)
    if version is not None and version.kind != KINDS[target]:
        raise LunaError(errors.UNKNOWN_DESCRIPTOR_VERSION, number)
    return AdditionalExtraction(
        objects=content["objects"],
        version=version,
        scope=content_scope(content, scope),
        filters=content["filters"].filters,
        batch_objects=BATCH_OBJECTS,
    )


def _extracted(run: SubtaskRun, extraction: AdditionalExtraction, samples: Samples) -> Extracted:
    """Return what the engine extracts. It is tried again while its queue is full, and a cancelled task leaves it."""
    engine = ThreadPoolExecutor(1, thread_name_prefix="luna-extraction", initializer=yielding)
    try:
        while True:
            try:
                return waited(engine.submit(extraction.extract, samples), run.check)
            except LunaError as error:
                if error.status != BUSY:
                    raise
            waited(engine.submit(time.sleep, BUSY_S), run.check)
    finally:
        engine.shutdown(wait=False, cancel_futures=True)


def _store(run: SubtaskRun, extraction: AdditionalExtraction, found: Sequence[Sampled], extracted: Extracted) -> None:
    """Store what was extracted together with the checkpoint behind it, and record the objects that failed."""
    for object_id in extracted.without_samples:
        run.error(LunaError(errors.OBJECTS_NOT_FOUND, "samples"), info=str(object_id))
    for object_id, error in extracted.failed:
        run.error(error, info=str(object_id))
    state = dict(run.state)
    done = sum(state.get(name, 0) for name in COUNTS) + len(found)
    with run.checkpoint(state, parts_done=done):
        batch = extraction.store(extracted)
        for object_id, error in batch.conflicts:
            run.error(error, info=str(object_id))
        for name, count in _counts(batch).items():
            state[name] = state.get(name, 0) + count
        state["after"] = found[-1].key


def _counts(batch: Batch) -> dict[str, int]:
    counts = batch.extracted, batch.changed, len(batch.without_samples), len(batch.failed)
    return dict(zip(COUNTS, counts, strict=True))


def _result(extraction: AdditionalExtraction, counted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums of the counts of subtasks."""
    version = None if extraction.version is None else extraction.version.version
    return {"descriptor_version": version} | {name: sum(each.get(name, 0) for each in counted) for name in COUNTS}


TYPE = AdditionalExtract()
