"""Consistency checks of faces, lists, descriptors, samples and temporary attributes, for `manage.py fsck`."""

from collections.abc import Iterator
from functools import cache, partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Func, IntegerField, Max, Q, QuerySet

from apps.accounts.models import Account
from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.holdings import Fault
from apps.common.redis_client import client
from apps.faces.attributes import KEY, unpack
from apps.faces.links import lists_lock
from apps.faces.models import Face, FaceAttribute, FaceDescriptor, List, ListFace, ListUnlink
from apps.imagestore.addresses import sample_of_address
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject

BATCH_ROWS = 1000
SCAN_KEYS = 500


def descriptors_check(deep: bool) -> Iterator[Fault]:
    """Yield descriptors of a wrong dimension, of another generation, and of faces without attribute."""
    for version in versions.all():
        rows = FaceDescriptor.objects.filter(version=version.version).annotate(
            dimension=Func(F("vector"), function="vector_dims", output_field=IntegerField())
        )
        for row in _with_face(rows.exclude(dimension=version.dimension)):
            yield Fault("descriptor of the wrong dimension", _subject(row), partial(_remove_descriptor, row.pk))
    for row in _with_face(FaceDescriptor.objects.filter(face__attribute__isnull=True)):
        yield Fault("descriptor without attribute", _subject(row), partial(_add_attribute, row.face))
    described = FaceDescriptor.objects.filter(face__attribute__isnull=False)
    for row in _with_face(described.exclude(generation=F("face__attribute__generation"))):
        yield Fault("descriptor of replaced samples", _subject(row), partial(_remove_descriptor, row.pk))


def _with_face(rows: QuerySet[Any]) -> Iterator[FaceDescriptor]:
    return rows.select_related("face").iterator()


def _subject(row: FaceDescriptor) -> str:
    return f"face {row.face.face_id} version {row.version}"


def _remove_descriptor(key: int) -> None:
    FaceDescriptor.objects.filter(pk=key).delete()


def _add_attribute(face: Face) -> None:
    FaceAttribute.objects.get_or_create(face=face)


def lists_check(deep: bool) -> Iterator[Fault]:
    """Yield lists whose keys are below their links' keys, or do not give the number of faces."""
    rows = List.objects.unscoped().annotate(
        faces=Count("links", distinct=True), link_max=Max("links__link_key"), log_max=Max("unlinks__unlink_key")
    )
    wrong = ~Q(faces=F("link_key") - F("unlink_key")) | Q(link_max__gt=F("link_key")) | Q(log_max__gt=F("unlink_key"))
    for row in rows.filter(wrong).order_by("pk").iterator():
        yield Fault(
            "list with inconsistent keys", f"list {row.list_id}", partial(_mend_keys, row.account_id, row.list_id)
        )


@transaction.atomic
def _mend_keys(account_id: UUID, list_id: UUID) -> None:
    """Increase keys that are too small, so that no key that a reader may have seen is assigned again."""
    try:
        row = lists_lock(account_id=account_id, list_ids=[list_id])[list_id]
    except LunaError:  # deleted concurrently
        return
    links = ListFace.objects.filter(list=row).aggregate(number=Count("pk"), last=Max("link_key"))
    unlinked = ListUnlink.objects.filter(list=row).aggregate(last=Max("unlink_key"))["last"]
    row.link_key = max(row.link_key, links["last"] or 0)
    row.unlink_key = max(row.unlink_key, unlinked or 0, row.link_key - links["number"])
    row.link_key = row.unlink_key + links["number"]
    row.save(update_fields=("link_key", "unlink_key"))


def samples_check(deep: bool) -> Iterator[Fault]:
    """Yield faces with samples that are missing in the Image Store."""
    last = 0
    while rows := list(
        FaceAttribute.objects.filter(pk__gt=last).select_related("face").order_by("pk")[:BATCH_ROWS]
    ):  # fmt: skip
        last = rows[-1].pk
        known = _samples({sample for row in rows for sample in _named(row)})
        for row in rows:
            for sample in sorted(set(_named(row)) - known):
                subject = f"face {row.face.face_id} sample {sample}"
                yield Fault("attribute with a missing sample", subject, partial(_drop_sample, row.pk, sample))
    last = 0
    while faces := list(
        Face.objects.unscoped().filter(pk__gt=last).exclude(avatar="").order_by("pk")[:BATCH_ROWS]
    ):  # fmt: skip
        last = faces[-1].pk
        avatars = {face.pk: avatar for face in faces if (avatar := sample_of_address(face.avatar))}
        known = _samples(set(avatars.values()))
        for face in faces:
            if face.pk in avatars and avatars[face.pk] not in known:
                subject = f"face {face.face_id} avatar {face.avatar}"
                yield Fault("avatar with a missing sample", subject, partial(_drop_avatar, face.pk))


def _named(row: FaceAttribute) -> list[UUID]:
    return [*row.descriptor_samples, *row.basic_attributes_samples]


def _samples(ids: set[UUID]) -> set[UUID]:
    rows = StoredObject.objects.unscoped().filter(bucket=Bucket.FACE_SAMPLES, object_id__in=ids)
    return set(rows.values_list("object_id", flat=True))


def _drop_sample(key: int, sample: UUID) -> None:
    row = FaceAttribute.objects.get(pk=key)
    row.descriptor_samples = [each for each in row.descriptor_samples if each != sample]
    row.basic_attributes_samples = [each for each in row.basic_attributes_samples if each != sample]
    row.save(update_fields=("descriptor_samples", "basic_attributes_samples"))


def _drop_avatar(key: int) -> None:
    Face.objects.unscoped().filter(pk=key).update(avatar="")


def attributes_check(deep: bool) -> Iterator[Fault]:
    """Yield temporary attributes that cannot be read, and those of deleted accounts."""

    @cache
    def known(account_id: UUID | None) -> bool:
        return account_id is not None and Account.objects.filter(account_id=account_id).exists()

    for key in client().scan_iter(KEY.format("*"), count=SCAN_KEYS):
        name = key.decode()
        value: Any = client().get(key)
        attribute_id = parse_uuid(name.rpartition(":")[2])
        if value is None:  # expired concurrently
            continue
        try:
            readable = attribute_id is not None and unpack(attribute_id, value)
        except LunaError:
            readable = False
        if not readable:
            yield Fault("unreadable temporary attribute", name, partial(_forget, key))
        elif not known(readable.account_id):
            yield Fault("temporary attribute of a deleted account", name, partial(_forget, key))


def _forget(key: bytes) -> None:
    client().delete(key)
