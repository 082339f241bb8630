"""Additional extraction: descriptors of another version, or basic attributes, from stored samples of faces and events.

Descriptors of other versions are kept. Objects that have the version or the attributes are skipped, and each batch is a
transaction of its own. A repeated run therefore resumes an interrupted one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.descriptors import Added, Descriptor, DescriptorVersion, Kind, Sampled, versions
from apps.common.errors import LunaError
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.events.descriptors import (
    event_basic_add,
    event_descriptors_add,
    events_lacking,
    events_sampled,
    events_without_basic,
)
from apps.faces.descriptors import (
    face_basic_add,
    face_descriptors_add,
    faces_lacking,
    faces_sampled,
    faces_without_basic,
)
from apps.faces.types import BasicData
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import objects_get
from apps.imagestore.services import object_bytes
from apps.recognition.estimators.face_descriptor import mean_descriptor
from apps.recognition.inputs.sources import stored_landmarks5
from apps.recognition.request.aggregation import aggregate, event_columns
from apps.recognition.request.build import recognition_request
from apps.recognition.run.facade import recognise
from apps.recognition.types import ImageInput, ImageResult, ImageType, Plan

Objects = Literal["faces", "events"]

BASIC = "basic_attributes"
BATCH_OBJECTS = 100
BUCKETS: Mapping[Kind, Bucket] = {"face": Bucket.FACE_SAMPLES, "body": Bucket.BODY_SAMPLES}


Value = Descriptor | Mapping[str, Any]
Failures = tuple[tuple[UUID, LunaError], ...]
"""Errors by id of the object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Result of a batch of faces or events. Objects that were not extracted are unchanged.

    `conflicts`: those of the changed objects whose attribute was replaced.
    """

    extracted: int = 0  # in a dry run: objects with samples
    changed: int = 0  # concurrently deleted, given another attribute, or extracted by another process
    without_samples: tuple[UUID, ...] = ()
    failed: Failures = ()
    conflicts: Failures = ()

    @property
    def size(self) -> int:
        return self.extracted + self.changed + len(self.without_samples) + len(self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Objects with their samples as inputs of the engine, and objects that have none."""

    objects: tuple[tuple[Sampled, tuple[ImageInput, ...]], ...]
    without_samples: tuple[UUID, ...]
    failed: Failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Objects with what was extracted from their samples: a descriptor, or basic attributes by column of events."""

    values: tuple[tuple[Sampled, Value], ...]
    without_samples: tuple[UUID, ...]
    failed: Failures


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditionalExtraction:
    """Extraction of `version`, or of basic attributes without one, for faces or events of `scope` that lack it.

    Missing samples are ignored if another sample of the object exists. The results of several samples are averaged,
    as at the creation of the object. Raises ValueError for a body version of faces, because only events have bodies.
    """

    objects: Objects
    version: DescriptorVersion | None
    scope: Scope
    filters: Filters = field(default_factory=dict)
    batch_objects: int = BATCH_OBJECTS

    def __post_init__(self) -> None:
        if self.version is not None and self.objects == "faces" and self.kind != "face":
            raise ValueError(f"descriptor version {self.version.version} describes bodies; faces have no bodies")

    @property
    def kind(self) -> Kind:
        return "face" if self.version is None else self.version.kind

    def check(self) -> None:
        """Check that an installed network extracts the version or the basic attributes.

        Raises LunaError UNSUPPORTED_DESCRIPTOR_VERSION or ESTIMATOR_NOT_INITIALIZED if none does.
        """
        recognise([], self._plan)

    def lacking(self) -> "QuerySet[Any]":
        """Return the objects to extract from, unordered."""
        given: dict[str, Any] = {"scope": self.scope, "filters": self.filters}
        if self.objects == "faces":
            if self.version is None:
                return faces_without_basic(**given)
            return faces_lacking(version=self.version.version, **given)
        if self.version is None:
            return events_without_basic(**given)
        return events_lacking(version=self.version.version, others=self._others, **given)

    def after(self, key: int, until: int | None = None) -> list[Sampled]:
        """Return the next objects with a key above `key`, up to `until`, ordered by key, with one query."""
        rows = self.lacking().filter(pk__gt=key, **({} if until is None else {"pk__lte": until}))
        page = rows.order_by("pk")[: self.batch_objects]
        return faces_sampled(page) if self.objects == "faces" else events_sampled(page, self.kind)

    def run(self, *, dry_run: bool = False) -> Iterator[Batch]:
        """Extract batch by batch; a caller that stops iterating cancels the rest.

        Writes an audit line first. Raises what `check` raises, and LunaError with status 503 if the engine is
        overloaded or not available.
        """
        self.check()
        if not dry_run:
            self.audit()
        key = 0
        while found := self.after(key):
            key = found[-1].key
            samples = self.read(found)
            if dry_run:
                yield Batch(extracted=len(samples.objects), without_samples=samples.without_samples)
            else:
                yield self.store(self.extract(samples))

    def audit(self, actor: Actor | None = None) -> None:
        """Write the audit line of a run."""
        target = "attribute" if self.version is None else "descriptor"
        audit_write(
            action="additional_extract",
            object_type=f"{self.objects[:-1]}_{target}",
            object_id="basic attributes" if self.version is None else f"version {self.version.version}",
            account_id=self.scope.account_id,
            actor=actor,
        )

    def read(self, found: Sequence[Sampled]) -> Samples:
        """Return the samples of the objects."""
        stored = _stored(found, self.kind)
        objects, failed = [], []
        for each in found:
            try:
                if rows := stored[each.key]:
                    objects.append((each, tuple(_picture(row, self.kind) for row in rows)))
            except LunaError as error:
                failed.append((each.object_id, error))
        without = tuple(each.object_id for each in found if not stored[each.key])
        return Samples(objects=tuple(objects), without_samples=without, failed=tuple(failed))

    def extract(self, samples: Samples) -> Extracted:
        """Return what the engine extracts from the samples; it reads no database.

        Raises LunaError with status 503 if the engine is overloaded or not available.
        """
        results = iter(recognise([picture for _, pictures in samples.objects for picture in pictures], self._plan))
        values, failed = [], list(samples.failed)
        for each, pictures in samples.objects:
            own = [next(results) for _ in pictures]
            try:
                values.append((each, self._value([_estimations(result, self.kind) for result in own])))
            except LunaError as error:
                failed.append((each.object_id, error))
        return Extracted(values=tuple(values), without_samples=samples.without_samples, failed=tuple(failed))

    def store(self, extracted: Extracted) -> Batch:
        """Store what was extracted, in one transaction."""
        added = self._add(extracted.values) if extracted.values else Added(0)
        return Batch(
            extracted=added.objects,
            changed=len(extracted.values) - added.objects,
            without_samples=extracted.without_samples,
            failed=extracted.failed,
            conflicts=added.conflicts,
        )

    @property
    def _name(self) -> str:
        """Name of the estimation."""
        return BASIC if self.version is None else f"{self.kind}_descriptor"

    @property
    def _plan(self) -> Plan:
        return recognition_request(
            faces=self.kind == "face",
            bodies=self.kind == "body",
            estimations={self._name},
            descriptor_version=None if self.version is None else self.version.version,
        ).plan

    @property
    def _others(self) -> list[int]:
        known = (version for version in versions.all() if version.kind == self.kind)
        return [version.version for version in known if version != self.version]

    def _value(self, found: Sequence[Mapping[str, object]]) -> Value:
        """Return the mean of the estimations of an object's samples."""
        if self.version is None:
            mean = aggregate(found).get(BASIC)
            if mean is None:
                raise LunaError(errors.EMPTY_ATTRIBUTE)
            return event_columns({BASIC: mean})
        descriptors = [cast(Descriptor, each[self._name]) for each in found]  # the plan asks for them
        descriptor = descriptors[0] if len(descriptors) == 1 else mean_descriptor(descriptors)
        # A body's score is the detection score, which a sample lacks.
        return descriptor if self.kind == "face" else replace(descriptor, score=None)

    def _add(self, found: Sequence[tuple[Sampled, Any]]) -> Added:
        if self.version is None:
            if self.objects == "events":
                return event_basic_add(found=found)
            return face_basic_add(found=[(face, _basic(columns)) for face, columns in found])
        number = self.version.version
        if self.objects == "faces":
            return face_descriptors_add(version=number, found=found)
        return event_descriptors_add(kind=self.kind, version=number, found=found)


def _basic(columns: Mapping[str, Any]) -> BasicData:
    return BasicData(age=columns["age"], gender=columns["gender"], ethnicity=columns["ethnic_group"])


def _stored(found: Sequence[Sampled], kind: Kind) -> dict[int, list[StoredObject]]:
    """Return the rows of the existing samples, by key, with one query per account for account scope."""
    rows: dict[tuple[UUID, UUID], StoredObject] = {}
    for account_id in {each.account_id for each in found}:
        wanted = [sample for each in found if each.account_id == account_id for sample in each.samples]
        known = objects_get(scope=Scope(account_id), bucket=BUCKETS[kind], object_ids=wanted)
        rows |= {(account_id, sample): row for sample, row in known.items()}
    return {
        each.key: [rows[each.account_id, sample] for sample in each.samples if (each.account_id, sample) in rows]
        for each in found
    }


def _picture(row: StoredObject, kind: Kind) -> ImageInput:
    """Return a sample as input of the engine. Raises LunaError if the bytes cannot be read."""
    image_type = ImageType.FACE_WARP if kind == "face" else ImageType.BODY_WARP
    return ImageInput(object_bytes(stored=row), str(row.object_id), image_type, landmarks5=stored_landmarks5(row.meta))


def _estimations(result: ImageResult, kind: Kind) -> Mapping[str, object]:
    """Return the estimations of a sample. Raises LunaError for a sample that cannot be recognised."""
    if result.error is not None:
        raise result.error
    return (result.faces if kind == "face" else result.bodies)[0].estimations
