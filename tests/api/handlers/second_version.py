"""A second version of the descriptors of faces, and two of bodies, beside the embedded one."""

import io
from typing import Any
from uuid import UUID

from django.core.management import call_command
from django.test import Client
from PIL import Image

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, versions
from apps.common.scope import Scope
from apps.descriptors.extraction import AdditionalExtraction, Batch
from apps.faces import services
from apps.faces.models import Face, FaceDescriptor
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from tests.api.handlers.helpers import JPEG, JSON, encoded
from tests.api.handlers.requests import extract, samples_of
from tests.factories import unit_vectors

FIRST, SECOND, BODY, OTHER_BODY = 1004, 2001, 2004, 2005
FORMER = 1001  # the default of older bases, whose network is still installed
POINTS = [[-1.0, 0.0], [0.9, 0.2], [1.0, 1.0]]
ALIGNMENT = {
    "crop": [32, 32], "template": [[11, 14], [21, 14], [16, 20], [12, 26], [20, 26]], "mirror_average": True,
    "mesh_points": [[33, 133], [362, 263], [1], [61], [291]],
}  # fmt: skip


def enrol(client: Client, data: bytes, **columns: str) -> str:
    """A face from a photograph, the sequential way. Its id."""
    answer = extract(client, samples_of(client, data)[:1])
    made = client.post("/6/faces", {"attribute": {"attribute_id": answer.json()[0]["attribute_id"]}, **columns}, JSON)
    assert made.status_code == 201, made.json()
    face_id: str = made.json()["face_id"]
    return face_id


def command(*words: object, number: int = SECOND) -> str:
    text = io.StringIO()
    call_command("additional_extract", "--descriptor-version", str(number), *map(str, words), stdout=text, stderr=text)
    return text.getvalue()


def numbers(face_id: str) -> list[int]:
    rows = FaceDescriptor.objects.filter(face__face_id=face_id).order_by("version")
    return list(rows.values_list("version", flat=True))


def run(**changes: Any) -> list[Batch]:
    chosen: dict[str, Any] = {"objects": "faces", "version": versions.get(SECOND), "scope": Scope(None)} | changes
    return list(AdditionalExtraction(**chosen).run())


def stored_face(account: Account, *samples: UUID, version: int = FIRST) -> Face:
    dimension = versions.get(version).dimension
    descriptor = Descriptor(version, unit_vectors(1, dimension)[0], 0.5)
    data = AttributeData(descriptors=(descriptor,), descriptor_samples=samples)
    return services.face_create(account_id=account.account_id, draft=FaceDraft(attribute=data))


def stored_sample(account: Account, colour: str) -> UUID:
    """A grey warp but for one colour, with points: nothing needs to be found in it."""
    data = encoded(Image.new("RGB", (250, 250), colour))
    meta = {"landmarks5": [[90, 110], [160, 110], [125, 150], [95, 180], [155, 180]]}
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=account.account_id, data=data, content_type=JPEG, meta=meta
    )  # fmt: skip
    return stored.object_id
