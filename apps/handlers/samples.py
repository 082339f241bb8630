"""The sequential way: detections stored as samples, then attributes extracted from samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.errors import LunaError
from apps.faces.attributes import attribute_create
from apps.handlers.pipeline.attributes import attribute_of, basic_of, descriptor_of
from apps.handlers.pipeline.recognition import outcome_of, plan_of, sightings_of
from apps.handlers.pipeline.storage import face_sample
from apps.handlers.policies import Policies
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.types import ImageOutcome, Sighting
from apps.imagestore.services import NewObject, samples_store
from apps.recognition.inputs.loading import samples_load
from apps.recognition.inputs.types import Inputs
from apps.recognition.request.aggregation import aggregate
from apps.recognition.request.screening import Limits, screen
from apps.recognition.run.facade import recognise
from apps.recognition.run.pictures import Rejected, recognise_pictures
from apps.recognition.types import Plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDetections:
    """The faces of one picture that were stored as samples, and those that filters stopped."""

    outcome: ImageOutcome
    sightings: tuple[Sighting, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def faces_detect(
    *, account_id: UUID, inputs: Inputs, policies: Policies, use_exif: bool
) -> tuple[ImageDetections, ...]:
    """Stores a sample of every face of every picture. Raises LunaError ESTIMATOR_NOT_INITIALIZED, and a lone
    picture's own error.
    """
    objects: list[NewObject] = []
    found = []
    for seen in recognise_pictures(inputs, plan_of(policies, use_exif=use_exif), policies.limits):
        sightings = []
        for sighting in sightings_of([seen]):
            sample_id = sighting.picture.sample_id
            if sample_id is None and sighting.face is not None:
                sample = face_sample(sighting.face, account_id)
                objects.append(sample)
                sample_id = sample.object_id
            sightings.append(replace(sighting, sample_id=sample_id))
        found.append(ImageDetections(outcome=outcome_of(seen), sightings=tuple(sightings), rejected=seen.rejected))
    if objects:
        samples_store(items=objects)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extracted:
    """A temporary attribute and the estimations that it was made of."""

    attribute_id: UUID
    samples: tuple[UUID, ...]
    score: float | None
    basic_attributes: object | None  # the engine's


def attributes_extract(
    *,
    account_id: UUID,
    sample_ids: Sequence[UUID],
    policy: ExtractPolicy,
    version: int | None = None,
    together: bool,
    ttl_s: int | None,
    actor: Actor,
) -> list[Extracted]:
    """Extracts from stored face samples: one attribute a sample, or one of all `together`.

    `version` of the descriptors; None: that of new ones. Each sample that is read leaves an audit line of `actor`.

    Samples whose descriptor scores below the policy's threshold give none. Raises LunaError NOTHING_TO_EXTRACT when
    nothing is to be extracted, SAMPLE_NOT_FOUND for a sample that is not there, ESTIMATOR_NOT_INITIALIZED,
    UNSUPPORTED_DESCRIPTOR_VERSION for a version that no installed network gives.
    """
    if not policy.face_estimators:
        raise LunaError(errors.NOTHING_TO_EXTRACT)
    images = samples_load(sample_ids=sample_ids, account_id=account_id, actor=actor)
    found = []
    limits = Limits(descriptor_score=policy.fd_score_threshold)
    plan = Plan(estimators=policy.face_estimators, descriptor_version=version, warp=False)
    for sample_id, result in zip(sample_ids, recognise(images, plan), strict=True):
        if result.error is not None:
            raise result.error
        face = result.faces[0]
        if not screen(face, limits):
            found.append((sample_id, face.estimations))
    if together and found:
        samples, estimations_of_all = zip(*found, strict=True)
        return [_extracted(account_id, samples, aggregate(estimations_of_all), ttl_s)]
    return [_extracted(account_id, (sample_id,), estimations, ttl_s) for sample_id, estimations in found]


def _extracted(
    account_id: UUID, samples: tuple[UUID, ...], estimations: Mapping[str, object], ttl_s: int | None
) -> Extracted:
    descriptor = descriptor_of(estimations)
    data = attribute_of(descriptor, basic_of(estimations), samples)
    assert data is not None  # noqa: S101 (something was asked for, and the engine gives all that is asked for)
    attribute = attribute_create(account_id=account_id, data=data, ttl_s=ttl_s)
    return Extracted(
        attribute_id=attribute.attribute_id,
        samples=samples,
        score=None if descriptor is None else descriptor.score,
        basic_attributes=estimations.get("basic_attributes"),
    )
