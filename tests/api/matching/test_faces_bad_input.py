"""POST /6/matcher/faces: invalid requests, and descriptors in requests."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, DescriptorVersion, raw_encode, sdk_encode
from apps.common.xpk import xpk_encode
from apps.faces.attributes import attribute_create
from apps.faces.services import face_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from tests.api.matching.requests import (
    DIMENSION,
    FACES,
    VECTORS,
    attribute_data,
    body,
    failed,
    make_face,
    matched,
    raw,
    stored,
    text,
)
from tests.factories import make_event, make_version, unit_vectors

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("kind", "object_id", "status", "code"),
    [
        ("face", uuid4(), 404, 22002),
        ("event", uuid4(), 404, 23001),
        ("attribute", uuid4(), 404, 22011),
        ("face_external_id", "nobody", 400, 11041),
        ("event_external_id", "nobody", 400, 11057),
        ("event_track_id", "nobody", 400, 11058),
    ],
)
def test_a_reference_that_does_not_exist(client: Client, kind: str, object_id: object, status: int, code: int) -> None:
    assert str(object_id) in failed(client, body([raw(VECTORS[0]), stored(kind, object_id)]), status, code)


def test_a_reference_without_descriptor(client: Client, account: Account) -> None:
    make_version(9102, 8)
    bare = face_create(account_id=account.account_id, draft=FaceDraft(external_id="bare"))
    old = face_create(
        account_id=account.account_id, draft=FaceDraft(attribute=attribute_data(unit_vectors(1, 8)[0], 9102))
    )
    event = make_event(account, track_id="t")
    attribute = attribute_create(account_id=account.account_id, data=AttributeData(basic=BasicData(age=3)))
    basic = face_create(account_id=account.account_id, draft=FaceDraft(attribute=AttributeData(basic=BasicData(age=3))))
    assert str(bare.face_id) in failed(client, body(stored("face_external_id", "bare")), 400, 11032)
    failed(client, body(stored("face", bare.face_id)), 400, 11032)
    assert str(basic.face_id) in failed(client, body(stored("face", basic.face_id)), 400, 11034)
    failed(client, body(stored("event_track_id", "t")), 400, 11034)
    failed(client, body(stored("event", event.event_id)), 400, 11034)
    failed(client, body(stored("attribute", attribute.attribute_id)), 400, 11034)
    assert "9101" in failed(client, body(stored("face", old.face_id)), 400, 22018)


def test_several_events_that_do_not_exist(client: Client, account: Account) -> None:
    known = make_event(account)
    missing = [uuid4(), uuid4()]
    references = [stored("event", event_id) for event_id in (known.event_id, *missing)]
    assert str(missing[0]) in failed(client, body(references), 404, 23002)
    assert str(missing[0]) in failed(client, body([stored("event", missing[0])] * 2), 404, 23001)


def test_references_count_by_the_events_that_they_stand_for(client: Client, account: Account) -> None:
    descriptor = Descriptor(9101, VECTORS[0])
    for _ in range(30):
        make_event(account, descriptor, external_id="many", track_id="many")
    for kind in ("event_external_id", "event_track_id"):
        assert len(matched(client, stored(kind, "many"))) == 30
        failed(client, body([stored(kind, "many"), raw(VECTORS[1])]), 400, 31007)


@pytest.mark.parametrize("kind", ["person", "", "FACE"])
def test_a_reference_of_no_known_kind(client: Client, kind: str) -> None:
    failed(client, {"references": [{"type": kind, "id": "1"}], "candidates": [FACES]}, 400, 22017)


def bad_descriptors() -> Iterator[Any]:
    good = VECTORS[0].astype("<f4").tobytes()
    nan = np.full(DIMENSION, np.nan, "<f4").tobytes()
    yield pytest.param("raw_descriptor", text(nan), None, 12038, id="nan")
    yield pytest.param("raw_descriptor", text(np.full(DIMENSION, np.inf, "<f4").tobytes()), None, 12038, id="infinity")
    yield pytest.param("raw_descriptor", text(bytes(DIMENSION * 4)), None, 12038, id="zeros")
    yield pytest.param("raw_descriptor", text(good[:-1]), None, 12034, id="short")
    yield pytest.param("raw_descriptor", text(good + b"\0"), None, 12034, id="long")
    yield pytest.param("raw_descriptor", "?", None, 22012, id="no base64")
    yield pytest.param("raw_descriptor", "ä", None, 22012, id="no ascii")
    yield pytest.param("raw_descriptor", text(good), 4711, 12036, id="unknown version")
    yield pytest.param("raw_descriptor", "", None, 12027, id="empty")
    yield pytest.param("sdk_descriptor", text(good), None, 12038, id="sdk without signature")
    yield pytest.param("sdk_descriptor", text(good + b"\x67\x12\0\0LUNA"), None, 12036, id="sdk of unknown version")
    yield pytest.param("sdk_descriptor", text(good[:-4] + b"\x8d\x23\0\0LUNA"), None, 12034, id="short sdk")
    yield pytest.param("sdk_descriptor", text(nan + b"\x8d\x23\0\0LUNA"), None, 12038, id="sdk of nan")


@pytest.mark.parametrize(("kind", "data", "number", "code"), list(bad_descriptors()))
def test_bad_descriptors(client: Client, kind: str, data: str, number: int | None, code: int) -> None:
    reference = {"type": kind, "id": "x", "data": data} | ({} if number is None else {"version": number})
    failed(client, body(reference), 400, code)


def test_descriptors_of_another_version(client: Client) -> None:
    other = make_version(9102, 8)
    vector = unit_vectors(1, 8)[0]
    reference = {"type": "sdk_descriptor", "data": text(sdk_encode(vector, other))}
    detail = failed(client, body(reference), 400, 31001)
    assert "9102" in detail
    assert "9101" in detail
    failed(
        client, body({"type": "raw_descriptor", "data": text(raw_encode(vector, other)), "version": 9102}), 400, 31001
    )


def test_every_descriptor_of_an_xpk_file_is_a_reference(
    client: Client, account: Account, version: DescriptorVersion
) -> None:
    faces = [make_face(account, vector) for vector in VECTORS[:2]]
    parts = [sdk_encode(vector, version) for vector in VECTORS[:2]]
    reference = {"type": "xpk_file", "id": "file", "data": text(xpk_encode(parts))}
    answer = matched(client, reference, {"filters": {"origin": "faces"}, "limit": 1})
    assert [each["reference"]["id"] for each in answer] == ["file", "file"]
    assert [each["matches"][0]["result"][0]["face"]["face_id"] for each in answer] == [
        str(face.face_id) for face in faces
    ]


def test_bad_xpk_files(client: Client, version: DescriptorVersion) -> None:
    part = sdk_encode(VECTORS[0], version)
    old = sdk_encode(unit_vectors(1, 8)[0], make_version(9102, 8))
    for data, code in (
        (b"garbage", 12035), (xpk_encode([part])[:-1], 12035), (xpk_encode([part]) + b"x", 12035),
        (xpk_encode([]), 12037), (xpk_encode([part[:-1]]), 12038), (xpk_encode([part] * 31), 31007),
        (xpk_encode([part, old]), 31001),
    ):  # fmt: skip
        failed(client, body({"type": "xpk_file", "data": text(data)}), 400, code)


def test_limits(client: Client) -> None:
    assert "30" in failed(client, body([raw(VECTORS[0])] * 31), 400, 31007)
    assert "30" in failed(client, body(raw(VECTORS[0]), *[FACES] * 31), 400, 31007)
    assert "100" in failed(client, body(raw(VECTORS[0]), {**FACES, "limit": 101}), 400, 31007)
    assert len(matched(client, [raw(VECTORS[0])] * 30, {**FACES, "limit": 100})) == 30


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({}, "references"),
        ({"references": [], "candidates": [FACES]}, "references"),
        ({"references": [{}], "candidates": [FACES]}, "references.0.type"),
        ({"references": [{"type": None, "id": "1"}], "candidates": [FACES]}, "references.0.type"),
        ({"references": [{"type": "face", "id": "1"}], "candidates": [FACES]}, "references.0.id"),
        ({"references": [{"type": "face"}], "candidates": [FACES]}, "references.0.id"),
        ({"references": [{"type": "face_external_id", "id": ""}], "candidates": [FACES]}, "references.0.id"),
        ({"references": [{"type": "raw_descriptor", "id": "1"}], "candidates": [FACES]}, "references.0.data"),
        ({"references": [{"type": "face_external_id", "id": "1"}], "candidates": []}, "candidates"),
        ({"references": [{"type": "face_external_id", "id": "1"}], "candidates": [{}]}, "candidates.0.filters"),
        ([], ""),
        ('"x"', ""),
    ],
)
def test_bad_bodies(client: Client, data: Any, path: str) -> None:
    assert f"Path: '{path}'" in failed(client, data, 400, 12027)


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"filters": {"origin": "people"}}, "filters.origin"),
        ({"filters": {"origin": ["faces"]}}, "filters.origin"),
        ({"filters": []}, "filters"),
        ({"filters": {"face_ids": ["1"]}}, "filters.face_ids.0"),
        ({"filters": {"face_ids": [str(uuid4())] * 1001}}, "filters.face_ids"),
        ({"filters": {"sources": ["gate"]}}, "filters.sources"),
        ({"filters": {"origin": "events", "list_id": str(uuid4())}}, "filters.list_id"),
        ({"filters": {"origin": "events", "emotions": [8]}}, "filters.emotions.0"),
        ({"filters": {"origin": "attributes"}}, "filters.attribute_ids"),
        ({**FACES, "limit": 0}, "limit"),
        ({**FACES, "threshold": 1.1}, "threshold"),
        ({**FACES, "threshold": "nan"}, "threshold"),
        ({**FACES, "nonsense": 1}, "nonsense"),
    ],
)
def test_bad_candidates(client: Client, block: dict[str, Any], path: str) -> None:
    assert f"Path: 'candidates.0.{path}'" in failed(client, body(raw(VECTORS[0]), block), 400, 12027)


def test_no_json(client: Client) -> None:
    assert client.post("/6/matcher/faces", "{", content_type="application/json").json()["error_code"] == 12002
    assert client.post("/6/matcher/faces", b"\xc1", content_type="application/msgpack").status_code == 400
