"""Additional extraction: descriptors of another version, extracted from stored samples of faces and events.

Descriptors of other versions are kept. Objects that have the version are skipped, and each batch is a transaction of
its own. A repeated run therefore resumes an interrupted one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from apps.accounts.audit import audit_write
from apps.common.descriptors import Descriptor, DescriptorVersion, Kind, Sampled, versions
from apps.common.errors import LunaError
from apps.common.parts import IMAGE_STORE, part_check
from apps.common.scope import Scope
from apps.events.descriptors import event_descriptors_add, events_lacking, events_lacking_after
from apps.faces.descriptors import face_descriptors_add, faces_lacking, faces_lacking_after
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import objects_get
from apps.imagestore.services import object_bytes
from apps.recognition.estimators.face_descriptor import mean_descriptor
from apps.recognition.inputs.sources import stored_landmarks5
from apps.recognition.request.build import recognition_request
from apps.recognition.run.facade import recognise
from apps.recognition.types import ImageInput, ImageResult, ImageType, Plan

Objects = Literal["faces", "events"]

BATCH_OBJECTS = 100
BUCKETS: Mapping[Kind, Bucket] = {"face": Bucket.FACE_SAMPLES, "body": Bucket.BODY_SAMPLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Result of a batch of faces or events. Objects that were not extracted are unchanged."""

    extracted: int = 0  # in a dry run: objects with samples
    changed: int = 0  # concurrently deleted, given another attribute, or extracted by another process
    without_samples: int = 0
    failed: tuple[tuple[UUID, str], ...] = ()  # id and reason

    @property
    def size(self) -> int:
        return self.extracted + self.changed + self.without_samples + len(self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditionalExtraction:
    """Extraction of `version` for the faces or events of `scope`. `list_id` restricts faces only.

    Missing samples are ignored if another sample of the object exists. The descriptors of several samples are averaged,
    as at the creation of the object. Raises ValueError for a body version of faces, because only events have bodies.
    """

    objects: Objects
    version: DescriptorVersion
    scope: Scope
    list_id: UUID | None = None
    batch_objects: int = BATCH_OBJECTS

    def __post_init__(self) -> None:
        if self.objects == "faces" and self.version.kind != "face":
            raise ValueError(f"descriptor version {self.version.version} describes bodies; faces have no bodies")

    def check(self) -> None:
        """Check that an installed network extracts the version.

        Raises LunaError UNSUPPORTED_DESCRIPTOR_VERSION or ESTIMATOR_NOT_INITIALIZED if none does, IMAGE_STORE_DISABLED
        if there are no samples.
        """
        part_check(IMAGE_STORE)
        recognise([], self._plan)

    def count(self) -> int:
        """Count the objects that lack the version."""
        number = self.version.version
        if self.objects == "faces":
            return faces_lacking(scope=self.scope, version=number, list_id=self.list_id).count()
        return events_lacking(scope=self.scope, version=number, others=self._others).count()

    def run(self, *, dry_run: bool = False) -> Iterator[Batch]:
        """Extract batch by batch; a caller that stops iterating cancels the rest.

        Writes an audit line first. Raises what `check` raises, and LunaError with status 503 if the engine is
        overloaded or not available.
        """
        self.check()
        if not dry_run:
            audit_write(
                action="additional_extract",
                object_type=f"{self.objects[:-1]}_descriptor",
                object_id=f"version {self.version.version}",
                account_id=self.scope.account_id,
            )
        key = 0
        while found := self._after(key):
            key = found[-1].key
            yield self._batch(found, dry_run)

    def _batch(self, found: Sequence[Sampled], dry_run: bool) -> Batch:
        stored = _stored(found, self.version.kind)
        sampled = [each for each in found if stored[each.key]]
        lacking = len(found) - len(sampled)
        if dry_run:
            return Batch(extracted=len(sampled), without_samples=lacking)
        described, failed = self._described(sampled, stored)
        added = self._add(described) if described else 0
        return Batch(
            extracted=added, changed=len(described) - added, without_samples=lacking, failed=tuple(failed)
        )  # fmt: skip

    def _described(
        self, sampled: Sequence[Sampled], stored: Mapping[int, Sequence[StoredObject]]
    ) -> tuple[list[tuple[Sampled, Descriptor]], list[tuple[UUID, str]]]:
        """Return the descriptors by object, and the objects that failed with the reason."""
        failed: list[tuple[UUID, str]] = []
        pictures: dict[int, list[ImageInput]] = {}
        for each in sampled:
            try:
                pictures[each.key] = [_picture(row, self.version.kind) for row in stored[each.key]]
            except LunaError as error:
                failed.append((each.object_id, error.detail))
        results = iter(recognise([picture for of_one in pictures.values() for picture in of_one], self._plan))
        described = []
        for each in sampled:
            if each.key in pictures:
                own = [next(results) for _ in pictures[each.key]]
                try:
                    described.append((each, _descriptor([_estimated(result, self.version.kind) for result in own])))
                except LunaError as error:
                    failed.append((each.object_id, error.detail))
        return described, failed

    @property
    def _plan(self) -> Plan:
        kind = self.version.kind
        return recognition_request(
            faces=kind == "face",
            bodies=kind == "body",
            estimations={f"{kind}_descriptor"},
            descriptor_version=self.version.version,
        ).plan

    @property
    def _others(self) -> list[int]:
        known = (version for version in versions.all() if version.kind == self.version.kind)
        return [version.version for version in known if version != self.version]

    def _after(self, key: int) -> list[Sampled]:
        number, limit = self.version.version, self.batch_objects
        if self.objects == "faces":
            return faces_lacking_after(
                scope=self.scope, version=number, list_id=self.list_id, key=key, limit=limit
            )  # fmt: skip
        return events_lacking_after(
            scope=self.scope, kind=self.version.kind, version=number, others=self._others, key=key, limit=limit
        )

    def _add(self, described: Sequence[tuple[Sampled, Descriptor]]) -> int:
        number = self.version.version
        if self.objects == "faces":
            return face_descriptors_add(version=number, found=described)
        return event_descriptors_add(
            kind=self.version.kind,
            version=number,
            found=[(event, self._scored(descriptor)) for event, descriptor in described],
        )

    def _scored(self, descriptor: Descriptor) -> Descriptor:
        """Return the descriptor; a body's has no score, because that is the detection score, which a sample lacks."""
        return descriptor if self.version.kind == "face" else replace(descriptor, score=None)


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


def _estimated(result: ImageResult, kind: Kind) -> Descriptor:
    """Return the descriptor of a sample. Raises LunaError for a sample that cannot be recognised."""
    if result.error is not None:
        raise result.error
    found = result.faces if kind == "face" else result.bodies
    descriptor = found[0].estimations[f"{kind}_descriptor"]
    assert isinstance(descriptor, Descriptor)  # noqa: S101 (the plan asks for it)
    return descriptor


def _descriptor(found: Sequence[Descriptor]) -> Descriptor:
    return found[0] if len(found) == 1 else mean_descriptor(found)
