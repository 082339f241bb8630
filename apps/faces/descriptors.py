"""Descriptors of stored faces: pages of vectors, and additional versions."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.common import errors
from apps.common.descriptors import Added, Descriptor, DescriptorVersion, Sampled
from apps.common.errors import LunaError
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.common.vectors import VectorPage, descriptors_by_owner, vectors_page
from apps.faces.models import Face, FaceAttribute, FaceDescriptor
from apps.faces.selectors import faces_filter
from apps.faces.types import BasicData


def faces_vectors(
    *, scope: Scope, filters: Filters, version: DescriptorVersion, after: int = 0, limit: int
) -> VectorPage:
    """Return descriptors of the `limit` first faces with a key above `after` that pass the filters, ordered by key."""
    return vectors_page(
        _described(scope, filters, version).filter(face_id__gt=after).order_by("face_id")[:limit],
        owner="face_id",
        object_id="face__face_id",
        dimension=version.dimension,
    )


def faces_described_count(*, scope: Scope, filters: Filters, version: DescriptorVersion) -> int:
    """Return the number of faces that pass the filters and have a descriptor of the version."""
    return _described(scope, filters, version).count()


def _described(scope: Scope, filters: Filters, version: DescriptorVersion) -> "QuerySet[FaceDescriptor]":
    faces = faces_filter(scope=scope, filters=filters)
    return FaceDescriptor.objects.filter(version=version.version, face__in=faces)


def faces_descriptors(*, keys: Sequence[int]) -> dict[int, list[Descriptor]]:
    """Return the descriptors of all versions, by key of the face."""
    return descriptors_by_owner(FaceDescriptor.objects.filter(face__in=keys), owner="face_id")


def faces_lacking(*, scope: Scope, version: int, filters: Filters | None = None) -> QuerySet[FaceAttribute]:
    """Return the attributes of faces without a descriptor of `version` that have or had another one, unordered."""
    descriptors = FaceDescriptor.objects.filter(face=OuterRef("pk"))
    rows = FaceAttribute.objects.filter(
        Exists(descriptors) | ~Q(descriptor_samples=[]), ~Exists(descriptors.filter(version=version))
    )
    return _of_faces(rows, scope, filters)


def faces_without_basic(*, scope: Scope, filters: Filters | None = None) -> QuerySet[FaceAttribute]:
    """Return the attributes of faces with samples of descriptors, but without any basic attribute, unordered."""
    rows = FaceAttribute.objects.filter(age=None, gender=None, ethnicity=None).exclude(descriptor_samples=[])
    return _of_faces(rows, scope, filters)


def _of_faces(rows: QuerySet[FaceAttribute], scope: Scope, filters: Filters | None) -> QuerySet[FaceAttribute]:
    if scope.account_id is None and not filters:
        return rows
    return rows.filter(face__in=faces_filter(scope=scope, filters=filters or {}))


def faces_sampled(rows: QuerySet[FaceAttribute]) -> list[Sampled]:
    """Return the faces of attributes with their samples, with one query."""
    columns = rows.values_list("pk", "face__face_id", "face__account_id", "descriptor_samples", "generation")
    return [
        Sampled(key, face_id, account_id, tuple(samples), generation)
        for key, face_id, account_id, samples, generation in columns
    ]


def face_descriptors_add(*, version: int, found: Sequence[tuple[Sampled, Descriptor]]) -> Added:
    """Add descriptors that were extracted from samples, in one transaction.

    Skips a face that was deleted, whose attribute was replaced, or that received the version concurrently.
    """
    with transaction.atomic():
        unchanged, conflicts = _unchanged([face for face, _ in found])
        described = FaceDescriptor.objects.filter(face__in=unchanged, version=version)
        unchanged -= set(described.values_list("face_id", flat=True))
        rows = [
            FaceDescriptor(
                face_id=face.key,
                version=version,
                vector=descriptor.vector,
                score=descriptor.score,
                generation=face.generation,
            )
            for face, descriptor in found
            if face.key in unchanged
        ]
        FaceDescriptor.objects.bulk_create(rows)
    return Added(len(rows), conflicts)


def face_basic_add(*, found: Sequence[tuple[Sampled, BasicData]]) -> Added:
    """Add basic attributes that were estimated from samples of descriptors, in one transaction.

    Skips a face that was deleted, whose attribute was replaced, or that received basic attributes concurrently.
    """
    with transaction.atomic():
        unchanged, conflicts = _unchanged([face for face, _ in found])
        lacking = faces_without_basic(scope=Scope(None)).filter(pk__in=unchanged).in_bulk()
        rows = [lacking[face.key] for face, _ in found if face.key in lacking]
        basic = {face.key: data for face, data in found}
        for row in rows:
            data = basic[row.pk]
            row.age, row.gender, row.ethnicity = data.age, data.gender, data.ethnicity
            row.basic_attributes_samples = row.descriptor_samples
        FaceAttribute.objects.bulk_update(rows, ("age", "gender", "ethnicity", "basic_attributes_samples"))
    return Added(len(rows), conflicts)


def _unchanged(found: Sequence[Sampled]) -> tuple[set[int], tuple[tuple[UUID, LunaError], ...]]:
    """Lock faces; return the keys of those with the given samples, and the conflicts of those with others.

    Samples are compared as well, because a new attribute after a deletion restarts at generation 0. Faces and
    attributes that were deleted have no conflict.
    """
    faces = Face.objects.unscoped().filter(pk__in=[each.key for each in found]).order_by("id")
    locked = list(faces.select_for_update(no_key=True).values_list("pk", flat=True))
    attributes = FaceAttribute.objects.filter(pk__in=locked).values_list("pk", "generation", "descriptor_samples")
    there = {key: (generation, tuple(samples)) for key, generation, samples in attributes}
    unchanged, conflicts = set(), []
    for each in found:
        generation, samples = there.get(each.key, (None, ()))
        if generation is None:
            continue
        if generation != each.generation:
            error = LunaError(errors.ATTRIBUTE_GENERATION_CONFLICT, each.object_id, generation, each.generation)
            conflicts.append((each.object_id, error))
        elif samples != each.samples:
            conflicts.append((each.object_id, LunaError(errors.ATTRIBUTE_SAMPLES_MISMATCH, each.object_id)))
        else:
            unchanged.add(each.key)
    return unchanged, tuple(conflicts)
