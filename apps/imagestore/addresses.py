"""Addresses of stored objects."""

from uuid import UUID

from apps.common.addresses import address, address_ids
from apps.common.fields import parse_uuid
from apps.imagestore.buckets import BUCKET_NAME
from apps.imagestore.choices import AUDIT_TYPES, Bucket, Kind, audit_type, folder_of

# Routes are named after the object's audit type; routes below `/1/buckets` have the prefix `bucket_`.
ROUTED = (Bucket.FACE_SAMPLES, Bucket.BODY_SAMPLES, Bucket.IMAGES, Bucket.OBJECTS)


def object_address(bucket: str, object_id: UUID | str) -> str:
    """Return the path of an object; `bucket` is the value of its row."""
    name, _, kind = bucket.partition("/")
    route = audit_type(bucket)
    return address(f"bucket_{route}", name, object_id) if kind else address(route, object_id)


def object_of_address(path: str, *, behind_host: bool = False) -> tuple[str, UUID] | None:
    """Return `bucket` (the value of a row) and id of the object at `path`; None for other paths.

    With `behind_host` a host may precede the path.
    """
    object_id = parse_uuid(path.rpartition("/")[2])
    if object_id is None:
        return None
    for bucket in ROUTED:
        if address_ids(AUDIT_TYPES[bucket], 1, path, behind_host=behind_host):
            return bucket, object_id
    for kind in Kind:
        ids = address_ids(f"bucket_{kind.removesuffix('s')}", 2, path, behind_host=behind_host)
        if ids and BUCKET_NAME.fullmatch(ids[0]):
            return folder_of(ids[0], kind), object_id
    return None


def sample_of_address(path: str) -> UUID | None:
    """Return the id of the face sample at `path`, which a host may precede; None for other addresses."""
    bucket, object_id = object_of_address(path, behind_host=True) or (None, None)
    return object_id if bucket == Bucket.FACE_SAMPLES else None
