"""Requests for faces and attributes."""

import base64
from typing import Any
from uuid import UUID

import orjson
from django.test import Client

from apps.common.descriptors import DescriptorVersion, raw_encode, sdk_encode
from tests.factories import ids, unit_vectors

VERSION, OTHER = 901, 902

JSON = "application/json"


def send(client: Client, method: str, path: str, body: Any) -> Any:
    return getattr(client, method)(path, orjson.dumps(body), content_type=JSON)


def made(client: Client, path: str, body: Any = None) -> UUID:
    """Return the id of the object that a POST to `path` created."""
    answer = send(client, "post", path, body or {})
    assert answer.status_code == 201, answer.content
    shape = answer.json()
    key = UUID(next(iter(shape.values())))
    assert shape["url"] == f"{path}/{key}" == answer.headers["Location"]
    assert shape["external_url"].endswith(shape["url"])
    return key


def raw(version: DescriptorVersion, seed: int = 0, **fields: Any) -> dict[str, Any]:
    data = base64.b64encode(raw_encode(unit_vectors(1, version.dimension, seed)[0], version)).decode()
    return {"type": "raw_descriptor", "version": version.version, "data": data} | fields


def sdk(version: DescriptorVersion, seed: int = 0) -> dict[str, Any]:
    data = sdk_encode(unit_vectors(1, version.dimension, seed)[0], version)
    return {"type": "sdk_descriptor", "data": base64.b64encode(data).decode()}


def external(*descriptors: dict[str, Any], **basic: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if descriptors:
        body["face_descriptors"] = {"descriptors": list(descriptors)}
    if basic:
        body["basic_attributes"] = {"attributes": basic}
    return body


def faces_found(client: Client, **query: Any) -> list[UUID]:
    answer = client.get("/6/faces", query)
    assert answer.status_code == 200, answer.content
    return ids(answer.json()["faces"], "face_id")
