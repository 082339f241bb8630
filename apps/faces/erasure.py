"""Erasure of an account or a person from faces and temporary attributes.

Temporary attributes contain descriptors, and Redis has no cascading deletion.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.holdings import Erasure, Reference, Report, Trace
from apps.common.redis_client import client
from apps.faces.attributes import KEY, unpack
from apps.faces.models import Face, FaceAttribute
from apps.faces.services import faces_delete
from apps.faces.types import TemporaryAttribute
from apps.imagestore.choices import Bucket
from apps.imagestore.erasure import object_reference, reference_of_address

SCAN_KEYS = 500


def attributes_erase(account_id: UUID, erasure: Erasure) -> None:
    """Remove every temporary attribute of an account."""
    for key, attribute in temporary_attributes():
        if attribute.account_id == account_id:
            client().delete(key)


def attributes_count(account_id: UUID) -> dict[str, int]:
    """Return the number of an account's temporary attributes."""
    return {"temporary attributes": sum(each.account_id == account_id for _, each in temporary_attributes())}


def temporary_attributes() -> Iterator[tuple[bytes, TemporaryAttribute]]:
    """Yield all readable temporary attributes with their keys."""
    for key in client().scan_iter(KEY.format("*"), count=SCAN_KEYS):
        value: Any = client().get(key)
        attribute_id = parse_uuid(key.decode().rpartition(":")[2])
        if value is None or attribute_id is None:
            continue
        try:
            yield key, unpack(attribute_id, value)
        except LunaError:  # `fsck` reports it
            continue


class PersonFaces:
    """Faces of a person, and temporary attributes that are their source or have the same samples."""

    def __init__(self) -> None:
        self.faces: list[Face] = []
        self.attribute_ids: set[UUID] = set()
        self.attributes_erased = 0

    def find(self, trace: Trace) -> None:
        rows = Face.objects.unscoped().order_by("pk")
        if trace.face_id is not None:
            rows = rows.filter(face_id=trace.face_id)
        else:
            rows = rows.filter(external_id=trace.external_id)
        rows = rows if trace.account_id is None else rows.filter(account_id=trace.account_id)
        self.faces = list(rows)
        for face in self.faces:
            trace.held.add(Reference("face", face.account_id, str(face.face_id)))
            if face.event_id is not None:
                trace.named.add(Reference("event", face.account_id, str(face.event_id)))
            trace.named.update(reference_of_address(face.account_id, face.avatar))
        owners = {face.pk: face.account_id for face in self.faces}
        for attribute in FaceAttribute.objects.filter(face__in=self.faces):
            if attribute.attribute_id is not None:
                self.attribute_ids.add(attribute.attribute_id)
            for sample in (*attribute.descriptor_samples, *attribute.basic_attributes_samples):
                trace.named.add(object_reference(owners[attribute.face_id], Bucket.FACE_SAMPLES, sample))

    def erase(self, trace: Trace) -> None:
        for account_id in sorted({face.account_id for face in self.faces}):
            face_ids = [face.face_id for face in self.faces if face.account_id == account_id]
            faces_delete(account_id=account_id, face_ids=face_ids, action="erase", actor=trace.actor)

    def clean(self, trace: Trace) -> None:
        samples = {UUID(each.object_id.rpartition("/")[2]) for each in trace.held if each.kind == "object"}
        for key, attribute in temporary_attributes():
            if trace.account_id not in (None, attribute.account_id):
                continue
            data = attribute.data
            own = samples & {*data.descriptor_samples, *data.basic_samples}
            if own or attribute.attribute_id in self.attribute_ids:
                self.attributes_erased += int(client().delete(key))

    def report(self) -> Report:
        return {
            "faces": [str(face.face_id) for face in self.faces],
            "temporary_attributes": self.attributes_erased,
        }
