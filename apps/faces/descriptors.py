"""Descriptors of stored faces: pages of vectors, and additional versions."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.common.descriptors import Descriptor, DescriptorVersion, Sampled
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.common.vectors import VectorPage, descriptors_by_owner, vectors_page
from apps.faces.models import Face, FaceAttribute, FaceDescriptor
from apps.faces.selectors import faces_filter


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


def faces_lacking(*, scope: Scope, version: int, list_id: UUID | None = None) -> QuerySet[FaceAttribute]:
    """Return the attributes of faces without a descriptor of `version` that have or had another one, unordered."""
    descriptors = FaceDescriptor.objects.filter(face=OuterRef("pk"))
    rows = FaceAttribute.objects.filter(
        Exists(descriptors) | ~Q(descriptor_samples=[]), ~Exists(descriptors.filter(version=version))
    )
    if scope.account_id is None and list_id is None:
        return rows
    return rows.filter(face__in=faces_filter(scope=scope, filters={} if list_id is None else {"list_id": list_id}))


def faces_lacking_after(
    *, scope: Scope, version: int, list_id: UUID | None = None, key: int, limit: int
) -> list[Sampled]:
    """Return the faces of `faces_lacking` with a key above `key`, ordered by key, with one query."""
    rows = faces_lacking(scope=scope, version=version, list_id=list_id).filter(pk__gt=key).order_by("pk")
    columns = rows.values_list("pk", "face__face_id", "face__account_id", "descriptor_samples", "generation")
    return [
        Sampled(key, face_id, account_id, tuple(samples), generation)
        for key, face_id, account_id, samples, generation in columns[:limit]
    ]


def face_descriptors_add(*, version: int, found: Sequence[tuple[Sampled, Descriptor]]) -> int:
    """Add descriptors that were extracted from samples, in one transaction, and return their number.

    Skips a face that was deleted, whose attribute was replaced, or that received the version concurrently. Samples are
    compared as well, because a new attribute after a deletion restarts at generation 0.
    """
    with transaction.atomic():
        keys = [face.key for face, _ in found]
        faces = Face.objects.unscoped().filter(pk__in=keys).order_by("id").select_for_update(no_key=True)
        locked = list(faces.values_list("pk", flat=True))
        there = {
            key: (generation, tuple(samples))
            for key, generation, samples in FaceAttribute.objects.filter(pk__in=locked).values_list(
                "pk", "generation", "descriptor_samples"
            )
        }
        described = FaceDescriptor.objects.filter(face__in=locked, version=version).values_list("face_id", flat=True)
        for key in described:
            there.pop(key, None)
        rows = [
            FaceDescriptor(
                face_id=face.key,
                version=version,
                vector=descriptor.vector,
                score=descriptor.score,
                generation=face.generation,
            )
            for face, descriptor in found
            if there.get(face.key) == (face.generation, face.samples)
        ]
        FaceDescriptor.objects.bulk_create(rows)
    return len(rows)
