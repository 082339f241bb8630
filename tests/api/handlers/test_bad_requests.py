"""Requests for events that are wrong as a whole: the right code, and nothing stored."""

import json
from typing import Any
from uuid import UUID

import msgpack
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import sdk_encode, versions
from apps.faces.services import list_delete
from apps.matching import matcher
from tests.api.handlers.helpers import JPEG, JSON, make_handler
from tests.api.handlers.requests import Count, error_of, make_list
from tests.factories import client_of, make_account, unit_vectors

pytestmark = pytest.mark.django_db
FACE_TYPE = "application/x-vl-face-descriptor"
MIB = 1024**2


def descriptor() -> bytes:
    version = versions.default("face")
    return sdk_encode(unit_vectors(1, version.dimension)[0], version)


def linking(list_id: str) -> dict[str, Any]:
    """Policies that match with the faces of a list and link new ones to it."""
    return {
        "match_policy": [{"label": "a", "candidates": {"origin": "faces", "list_id": list_id}}],
        "storage_policy": {"face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": list_id}]}},
    }


def test_a_list_deleted_between_match_and_link(
    client: Client, account: Account, stored: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_id = make_list(client)
    handler, before, search = make_handler(client, linking(list_id)), stored(), matcher.match

    def searched(**arguments: Any) -> Any:
        found = search(**arguments)
        list_delete(account_id=account.account_id, list_id=UUID(list_id))
        return found

    monkeypatch.setattr(matcher, "match", searched)
    assert error_of(client.post(f"{handler}/events", descriptor(), FACE_TYPE)) == (400, 22005)
    assert stored() == before


def test_a_list_of_another_account(client: Client, stored: Count) -> None:
    """It has no candidates, and nobody is linked to it."""
    foreign = make_list(client_of(make_account()))
    handler, before = make_handler(client, linking(foreign)), stored()
    assert error_of(client.post(f"{handler}/events", descriptor(), FACE_TYPE)) == (400, 22005)
    assert stored() == before


@pytest.mark.parametrize("policies", [{"x": b"\xff"}, [b"x"], 7, {"match_policy": [{"label": b"x"}]}])
def test_policies_in_messagepack_that_json_cannot_hold(client: Client, stored: Count, policies: Any) -> None:
    handler, before = make_handler(client, "dynamic", handler_type=1), stored()
    body = msgpack.packb({"urls": ["https://example.invalid/a.jpg"], "policies": policies})
    answer = client.post(f"{handler}/events", body, "application/msgpack")
    assert error_of(answer) == (400, 12027)
    assert stored() == before


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"meta": {"a": "x" * (2 * MIB - 8)}}, None),  # 2 MiB as JSON
        ({"meta": {"a": "x" * (2 * MIB - 7)}}, 12027),
        ({"meta": {"a": {"b c": 1}}}, 12027),
        ({"meta": [{"filename": "0.jpg", "meta": {"b c": 1}}]}, 12027),
        ({"meta": 7}, 12027),
        ({"policies": {}}, 34007),
        ({"detect_time": "yesterday"}, 12027),
        ({"surplus": {}}, 12039),
    ],
    ids=["2 MiB", "2 MiB + 1", "blank", "blank of one image", "number", "policies", "time", "surplus"],
)
def test_parts(client: Client, stored: Count, parts: dict[str, Any], code: int | None) -> None:
    handler, before = make_handler(client), stored()
    documents = {name: json.dumps(value, separators=(",", ":")) for name, value in parts.items()}
    answer = client.post(f"{handler}/events", {"d": SimpleUploadedFile("0.jpg", descriptor(), FACE_TYPE), **documents})
    if code is None:
        assert answer.status_code == 201
    else:
        assert error_of(answer) == (403 if code == 34007 else 400, code)
        assert stored() == before


def test_nine_images_and_a_dynamic_handler_without_policies(client: Client, stored: Count) -> None:
    handler, dynamic, before = make_handler(client), make_handler(client, "dynamic", handler_type=1), stored()
    nine = {"image": [SimpleUploadedFile(f"{number}.jpg", b"x", JPEG) for number in range(9)]}
    assert error_of(client.post(f"{handler}/events", nine)) == (400, 11049)
    urls = {"urls": [f"https://example.invalid/{number}" for number in range(9)]}
    assert error_of(client.post(f"{handler}/events", urls, JSON)) == (400, 12027)
    assert error_of(client.post(f"{dynamic}/events", descriptor(), FACE_TYPE)) == (400, 12003)
    assert stored() == before
