"""Concurrent additions of descriptors, replacements of attributes and deletions of faces: no duplicates, none stale."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.db import connection

from apps.accounts.services import account_create
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.faces import services
from apps.faces.descriptors import face_descriptors_add, faces_lacking, faces_sampled
from apps.faces.models import Face, FaceAttribute, FaceDescriptor
from apps.faces.types import AttributeData, FaceDraft

OLD, NEW = 77, 78
FACES = 40


@pytest.fixture
def account(transactional_db: None) -> UUID:
    return account_create(login="crowd@example.com", password="a-password").account_id


def attribute() -> AttributeData:
    """Attribute with one sample; the descriptors of the sample encode its id."""
    sample = uuid4()
    return AttributeData((vector_of(sample, OLD),), descriptor_samples=(sample,))


def vector_of(sample: UUID, version: int) -> Descriptor:
    return Descriptor(version, np.frombuffer(sample.bytes, np.uint8)[:4].astype(np.float32))


def extract(seed: int, first: int) -> int:
    chance, added = random.Random(seed), 0
    try:
        for _ in range(15):
            key = first + chance.randrange(-1, FACES)
            rows = faces_lacking(scope=Scope(None), version=NEW).filter(pk__gt=key).order_by("pk")
            found = faces_sampled(rows[:8])
            time.sleep(chance.random() / 20)  # duration of an extraction
            added += face_descriptors_add(
                version=NEW, found=[(face, vector_of(face.samples[0], NEW)) for face in found]
            ).objects
    finally:
        connection.close()
    return added


def change(account: UUID, faces: list[UUID], seed: int) -> None:
    chance = random.Random(seed)
    try:
        for _ in range(60):
            where: dict[str, Any] = {"account_id": account, "face_id": chance.choice(faces)}
            try:
                match chance.randrange(4):
                    case 0 | 1:
                        services.face_attribute_set(**where, attribute=attribute())
                    case 2:  # the next one counts from generation 0 again
                        services.face_attribute_delete(**where)
                        services.face_attribute_set(**where, attribute=attribute())
                    case 3:
                        services.face_delete(**where)
            except LunaError as error:
                if error.code not in (22002, 11032):  # another thread was faster
                    raise
    finally:
        connection.close()


def test_nobody_gets_a_descriptor_twice_or_of_an_old_sample(account: UUID) -> None:
    faces = [
        services.face_create(account_id=account, draft=FaceDraft(attribute=attribute())).face_id for _ in range(FACES)
    ]
    first = Face.objects.for_account(account).earliest("pk").pk
    with ThreadPoolExecutor(8) as pool:
        added = [pool.submit(extract, seed, first) for seed in range(5)]
        changes = [pool.submit(change, account, faces, seed) for seed in range(3)]
        for each in changes:
            each.result()
        assert sum(each.result() for each in added) > 0

    extract(99, first)
    samples = dict(FaceAttribute.objects.values_list("pk", "descriptor_samples"))
    generations = dict(FaceAttribute.objects.values_list("pk", "generation"))
    rows = FaceDescriptor.objects.filter(version=NEW)
    assert 0 < rows.count() == Face.objects.for_account(account).count() - faces_lacking(
        scope=Scope(account), version=NEW
    ).count()  # fmt: skip
    for row in rows:
        expected = vector_of(samples[row.face_id][0], NEW).vector
        np.testing.assert_array_equal(np.array(row.vector), expected)
        assert row.generation == generations[row.face_id]
