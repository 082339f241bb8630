"""Temporary attributes, stored in Redis until their lifetime ends.

The key contains the attribute's id and the value its account, so that a reader with the scope of all accounts finds it.
The value is MessagePack; vectors are float32 little-endian bytes.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import ormsgpack
from django.db import transaction

from apps.accounts.audit import audit_owned, audit_write
from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.common.redis_client import client
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.faces.config import default_ttl_s, max_ttl_s
from apps.faces.types import AttributeData, BasicData, TemporaryAttribute

KEY = "luna:attribute:{}"


def attribute_check(data: AttributeData) -> None:
    """Validate an attribute.

    Raises LunaError EMPTY_ATTRIBUTE for an empty attribute, SAMPLES_WITHOUT_ATTRIBUTE for samples without descriptors
    or basic attributes, DUPLICATE_DESCRIPTOR_VERSIONS for two descriptors of one version.
    """
    if not data.descriptors and data.basic is None:
        raise LunaError(errors.EMPTY_ATTRIBUTE)
    if data.descriptor_samples and not data.descriptors:
        raise LunaError(errors.SAMPLES_WITHOUT_ATTRIBUTE, "face_descriptors")
    if data.basic_samples and data.basic is None:
        raise LunaError(errors.SAMPLES_WITHOUT_ATTRIBUTE, "basic_attributes")
    versions = [descriptor.version for descriptor in data.descriptors]
    if twice := sorted({version for version in versions if versions.count(version) > 1}):
        raise LunaError(errors.DUPLICATE_DESCRIPTOR_VERSIONS, ", ".join(map(str, twice)))


def attribute_create(*, account_id: UUID, data: AttributeData, ttl_s: int | None = None) -> TemporaryAttribute:
    """Store `data` for `ttl_s` seconds (1 to `max_ttl`, default `default_ttl`).

    Raises LunaError EMPTY_ATTRIBUTE, SAMPLES_WITHOUT_ATTRIBUTE, DUPLICATE_DESCRIPTOR_VERSIONS, BAD_QUERY_PARAMETERS.
    """
    attribute_check(data)
    ttl_s = default_ttl_s() if ttl_s is None else ttl_s
    if not 1 <= ttl_s <= max_ttl_s():
        raise LunaError(errors.BAD_QUERY_PARAMETERS, f"'ttl'. It is 1..{max_ttl_s()} seconds")
    attribute = TemporaryAttribute(uuid4(), account_id, utc_now(), data)
    client().set(KEY.format(attribute.attribute_id), pack(attribute), ex=ttl_s)
    return attribute


def attribute_get(*, scope: Scope, attribute_id: UUID) -> TemporaryAttribute:
    """Return an attribute. Raises LunaError ATTRIBUTE_NOT_FOUND if it is unknown, expired or outside of the scope."""
    found = attributes_get(scope=scope, attribute_ids=[attribute_id])
    if not found:
        raise LunaError(errors.ATTRIBUTE_NOT_FOUND, attribute_id)
    return found[0]


def attributes_get(*, scope: Scope, attribute_ids: Sequence[UUID]) -> list[TemporaryAttribute]:
    """Return the existing attributes of `attribute_ids`, in the requested order."""
    if not attribute_ids:
        return []
    values: Any = client().mget([KEY.format(attribute_id) for attribute_id in attribute_ids])
    found = (unpack(key, value) for key, value in zip(attribute_ids, values, strict=True) if value is not None)
    return [attribute for attribute in found if scope.allows(attribute.account_id)]


def attributes_vectors(
    *, scope: Scope, attribute_ids: Iterable[UUID], version: DescriptorVersion
) -> tuple[list[UUID], Vector]:
    """Return the ids and descriptors of a version of existing attributes, oldest first: float32 [n, dimension]."""
    described = [
        (attribute.attribute_id, data.vector)
        for attribute in sorted(
            attributes_get(scope=scope, attribute_ids=tuple(dict.fromkeys(attribute_ids))),
            key=lambda each: (each.create_time, each.attribute_id),
        )
        if (data := attribute.data.descriptor(version.version)) is not None
    ]
    vectors = [vector for _, vector in described]
    return [found for found, _ in described], np.stack(vectors) if vectors else np.empty(
        (0, version.dimension), np.float32
    )


def descriptors_view(*, scope: Scope, attribute_ids: Sequence[UUID], actor: Actor) -> list[TemporaryAttribute]:
    """Return attributes with descriptors for `actor`, and write an audit line for each."""
    found = attributes_get(scope=scope, attribute_ids=attribute_ids)
    owners = {each.attribute_id: each.account_id for each in found}
    audit_owned(action="view", object_type="attribute_descriptor", owners=owners, actor=actor)
    return found


def attribute_delete(*, account_id: UUID, attribute_id: UUID, actor: Actor | None = None) -> None:
    """Delete an attribute. Raises LunaError ATTRIBUTE_NOT_FOUND."""
    attribute_get(scope=Scope(account_id), attribute_id=attribute_id)
    with transaction.atomic():  # a failure of Redis rolls back the audit line
        audit_write(
            action="delete", object_type="attribute", object_id=attribute_id, account_id=account_id, actor=actor
        )
        client().delete(KEY.format(attribute_id))


def pack(attribute: TemporaryAttribute) -> bytes:
    data = attribute.data
    return ormsgpack.packb(
        {
            "account": attribute.account_id.bytes,
            "time": attribute.create_time.timestamp(),
            "descriptors": [(d.version, d.score, d.vector.astype("<f4").tobytes()) for d in data.descriptors],
            "basic": None if data.basic is None else (data.basic.age, data.basic.gender, data.basic.ethnicity),
            "descriptor_samples": [sample.bytes for sample in data.descriptor_samples],
            "basic_samples": [sample.bytes for sample in data.basic_samples],
        }
    )


def unpack(attribute_id: UUID, value: bytes) -> TemporaryAttribute:
    """Decode a stored attribute. Raises LunaError CORRUPTED_ATTRIBUTE for an invalid value."""
    try:
        row: dict[str, Any] = ormsgpack.unpackb(value)
        data = AttributeData(
            descriptors=tuple(
                Descriptor(version, np.frombuffer(vector, "<f4"), score)
                for version, score, vector in row["descriptors"]
            ),
            basic=None if row["basic"] is None else BasicData(*row["basic"]),
            descriptor_samples=_ids(row["descriptor_samples"]),
            basic_samples=_ids(row["basic_samples"]),
        )
        created = datetime.fromtimestamp(row["time"], UTC)
        return TemporaryAttribute(attribute_id, UUID(bytes=row["account"]), created, data)
    except (ormsgpack.MsgpackDecodeError, KeyError, TypeError, ValueError) as error:
        raise LunaError(errors.CORRUPTED_ATTRIBUTE, attribute_id) from error


def _ids(values: Iterable[bytes]) -> tuple[UUID, ...]:
    return tuple(UUID(bytes=value) for value in values)
