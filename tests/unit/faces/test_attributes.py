from uuid import UUID, uuid4

import numpy as np
import pytest
import redis

from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.faces.attributes import KEY, attribute_create, attribute_delete, attribute_get, attributes_get
from apps.faces.types import AttributeData, BasicData
from tests.unit.faces.helpers import attribute_data, unit_vector

OWNER, STRANGER = uuid4(), uuid4()


def code_of(attribute_id: UUID, account: UUID) -> int:
    with pytest.raises(LunaError) as caught:
        attribute_get(scope=Scope(account), attribute_id=attribute_id)
    return caught.value.code


def test_comes_back_as_it_was() -> None:
    samples = (uuid4(), uuid4())
    data = AttributeData(
        (Descriptor(77, unit_vector(1), 0.5), Descriptor(78, unit_vector(2, 512))),
        BasicData(40, None, 2),
        samples,
        samples[:1],
    )
    made = attribute_create(account_id=OWNER, data=data)
    found = attribute_get(scope=Scope(OWNER), attribute_id=made.attribute_id)
    assert (found.account_id, found.create_time, found.data.basic) == (OWNER, made.create_time, data.basic)
    assert (found.data.descriptor_samples, found.data.basic_samples) == (samples, samples[:1])
    assert [(d.version, d.score) for d in found.data.descriptors] == [(77, 0.5), (78, None)]
    for mine, theirs in zip(found.data.descriptors, data.descriptors, strict=True):
        assert mine.vector.dtype == np.float32
        np.testing.assert_array_equal(mine.vector, theirs.vector)


@pytest.mark.django_db
def test_is_seen_by_its_account_only() -> None:
    made = attribute_create(account_id=OWNER, data=attribute_data())
    assert code_of(made.attribute_id, STRANGER) == 22011
    with pytest.raises(LunaError):
        attribute_delete(account_id=STRANGER, attribute_id=made.attribute_id)
    assert attribute_get(scope=Scope(None), attribute_id=made.attribute_id).attribute_id == made.attribute_id
    attribute_delete(account_id=OWNER, attribute_id=made.attribute_id)
    assert code_of(made.attribute_id, OWNER) == 22011


def test_ends_with_its_time_to_live(redis_client: redis.Redis) -> None:
    made = attribute_create(account_id=OWNER, data=attribute_data())
    assert redis_client.ttl(KEY.format(made.attribute_id)) in (299, 300)
    made = attribute_create(account_id=OWNER, data=attribute_data(), ttl_s=86_400)
    assert redis_client.ttl(KEY.format(made.attribute_id)) > 86_390
    redis_client.pexpire(KEY.format(made.attribute_id), 1)
    while redis_client.exists(KEY.format(made.attribute_id)):
        pass
    assert code_of(made.attribute_id, OWNER) == 22011


def test_several_in_the_order_asked_for() -> None:
    first, second = (attribute_create(account_id=OWNER, data=attribute_data(n)).attribute_id for n in range(2))
    foreign = attribute_create(account_id=STRANGER, data=attribute_data()).attribute_id
    found = attributes_get(scope=Scope(OWNER), attribute_ids=[second, uuid4(), foreign, first])
    assert [attribute.attribute_id for attribute in found] == [second, first]
    assert attributes_get(scope=Scope(OWNER), attribute_ids=[]) == []


@pytest.mark.parametrize(
    ("data", "ttl_s", "code"),
    [
        (AttributeData(), 300, 22022),
        (AttributeData(basic=BasicData(1), descriptor_samples=(OWNER,)), 300, 22023),
        (AttributeData(attribute_data().descriptors, basic_samples=(OWNER,)), 300, 22023),
        (AttributeData(attribute_data().descriptors * 2), 300, 22024),
        (attribute_data(), 0, 12012),
        (attribute_data(), 86_401, 12012),
    ],
)
def test_bad_ones_are_not_kept(redis_client: redis.Redis, data: AttributeData, ttl_s: int, code: int) -> None:
    with pytest.raises(LunaError) as caught:
        attribute_create(account_id=OWNER, data=data, ttl_s=ttl_s)
    assert caught.value.code == code
    assert redis_client.keys() == []


@pytest.mark.parametrize("value", [b"", b"\x80", b"\x01", b"garbage" * 10])
def test_a_foreign_value_is_called_corrupt(redis_client: redis.Redis, value: bytes) -> None:
    attribute_id = uuid4()
    redis_client.set(KEY.format(attribute_id), value)
    assert code_of(attribute_id, OWNER) == 22020
