"""Addresses of the API: every route has a name, and built addresses can be parsed."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import NoReverseMatch, URLPattern, get_resolver

from apps.common.addresses import ROOTS, address, address_ids, is_routed
from apps.imagestore.addresses import object_address, object_of_address, sample_of_address
from apps.imagestore.choices import Bucket

ID = uuid.UUID("8c9ab1d3-1e0c-4a4e-9d47-7f3a3c7e5b10")
ADDRESSES = {
    Bucket.FACE_SAMPLES: f"/6/samples/faces/{ID}",
    Bucket.BODY_SAMPLES: f"/6/samples/bodies/{ID}",
    Bucket.IMAGES: f"/6/images/{ID}",
    Bucket.OBJECTS: f"/6/objects/{ID}",
    "my-bucket/images": f"/1/buckets/my-bucket/images/{ID}",
    "my-bucket/objects": f"/1/buckets/my-bucket/objects/{ID}",
}


def routes(patterns: Any, prefix: str = "/") -> Iterator[tuple[str, str | None]]:
    for each in patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield path, each.name
        elif each.namespace is None:
            yield from routes(each.url_patterns, path)


def test_every_route_of_the_api_has_a_name_of_its_own() -> None:
    names = [name for path, name in routes(get_resolver().url_patterns) if path.startswith(ROOTS)]
    assert None not in names
    assert len(names) == len(set(names)) >= 50


@pytest.mark.parametrize(
    ("route", "ids", "path"),
    [
        ("account", (), "/6/account"),
        ("face", (ID,), f"/6/faces/{ID}"),
        ("handler_events", (ID,), f"/6/handlers/{ID}/events"),
        ("bucket_image", ("my-bucket", ID), f"/1/buckets/my-bucket/images/{ID}"),
    ],
)
def test_what_is_built_is_parsed_again(route: str, ids: tuple[object, ...], path: str) -> None:
    assert address(route, *ids) == path  # type: ignore[arg-type]
    assert address_ids(route, len(ids), path) == tuple(map(str, ids))
    assert address_ids(route, len(ids), f"https://host{path}") is None
    assert address_ids(route, len(ids), f"https://host{path}", behind_host=True) == tuple(map(str, ids))
    assert address_ids(route, len(ids), f"{path}/more", behind_host=True) is None


def test_a_route_that_is_not_there() -> None:
    assert is_routed("faces")
    assert not is_routed("no_such_route")
    with pytest.raises(NoReverseMatch):
        address("no_such_route")


@pytest.mark.parametrize(("bucket", "path"), ADDRESSES.items())
def test_addresses_of_stored_objects(bucket: str, path: str) -> None:
    assert object_address(bucket, ID) == path
    assert object_of_address(path) == (bucket, ID)
    assert object_of_address(f"https://luna.test/api{path}", behind_host=True) == (bucket, ID)
    assert object_of_address(f"https://luna.test{path}") is None
    assert sample_of_address(path) == (ID if bucket == Bucket.FACE_SAMPLES else None)


def test_a_bucket_of_the_platform_below_buckets_is_the_same_bucket() -> None:
    assert object_of_address(f"/1/buckets/{Bucket.IMAGES}/images/{ID}") == (Bucket.IMAGES, ID)


@pytest.mark.parametrize(
    "path", ["", "/", "/6/images/", "/6/images/x", f"/6/faces/{ID}", f"/6/images/{ID}/", f"/1/buckets/A/images/{ID}"]
)
def test_addresses_of_nothing_stored(path: str) -> None:
    assert object_of_address(path) is None
    assert object_of_address(path, behind_host=True) is None
