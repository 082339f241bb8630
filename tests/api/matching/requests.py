"""Helpers that build and send requests to the matcher."""

import base64
from typing import Any

from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, Vector, raw_encode, versions
from apps.events.models import Event
from apps.faces.attributes import attribute_create
from apps.faces.models import Face
from apps.faces.services import face_create
from apps.faces.types import AttributeData, FaceDraft, TemporaryAttribute
from tests.factories import make_event, unit_vectors

DIMENSION = 16
VECTORS = unit_vectors(12, DIMENSION, seed=7)
FACES = {"filters": {"origin": "faces"}}


def attribute_data(vector: Vector, version: int = 9101) -> AttributeData:
    return AttributeData(descriptors=(Descriptor(version, vector),))


def make_face(account: Account, vector: Vector, **columns: Any) -> Face:
    return face_create(account_id=account.account_id, draft=FaceDraft(attribute=attribute_data(vector), **columns))


def make_attribute(account: Account, vector: Vector) -> TemporaryAttribute:
    return attribute_create(account_id=account.account_id, data=attribute_data(vector))


def make_matched_event(account: Account, vector: Vector, **columns: Any) -> Event:
    return make_event(account, Descriptor(9101, vector), **columns)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def raw(vector: Vector, name: str = "r") -> dict[str, Any]:
    return {"type": "raw_descriptor", "id": name, "data": text(raw_encode(vector, versions.get(9101)))}


def stored(kind: str, object_id: object) -> dict[str, Any]:
    return {"type": kind, "id": str(object_id)}


def body(reference: Any, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {
        "references": reference if isinstance(reference, list) else [reference],
        "candidates": list(blocks) or [FACES],
    }


def post(client: Client, data: Any, query: str = "") -> Any:
    return client.post(f"/6/matcher/faces{query}", data, content_type="application/json")


def matched(client: Client, reference: Any, *blocks: dict[str, Any]) -> list[dict[str, Any]]:
    answer = post(client, body(reference, *blocks))
    assert answer.status_code == 200, answer.content
    return answer.json()


def found_ids(answer: list[dict[str, Any]], kind: str = "face", block: int = 0) -> list[str]:
    return [each[kind][f"{kind}_id"] for each in answer[0]["matches"][block]["result"]]


def failed(client: Client, data: Any, status: int, code: int, query: str = "") -> str:
    answer = post(client, data, query)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.content
    return str(answer.json()["detail"])
