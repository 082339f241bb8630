"""POST /6/matcher/faces: matches and responses."""

from typing import Any
from uuid import uuid4

import ormsgpack
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account
from apps.common import nearest
from apps.common.descriptors import DescriptorVersion, sdk_encode
from apps.faces.services import list_create
from tests.api.matching.requests import (
    FACES,
    VECTORS,
    body,
    failed,
    found_ids,
    make_attribute,
    make_face,
    make_matched_event,
    matched,
    raw,
    stored,
    text,
)

pytestmark = pytest.mark.django_db


def test_answer(client: Client, account: Account, version: DescriptorVersion) -> None:
    row = list_create(account_id=account.account_id)
    near = make_face(account, VECTORS[0], external_id="e", user_data="u", lists=[row.list_id])
    far = make_face(account, VECTORS[1])
    filters = {"list_id": str(row.list_id)}
    answer = matched(client, raw(VECTORS[0]), {"filters": filters}, {"filters": {"origin": "faces"}, "limit": 2})
    (result,) = answer[0]["matches"][0].pop("result")
    assert result.pop("similarity") == pytest.approx(1.0, abs=1e-6)
    assert result["face"].pop("create_time").endswith("Z")
    assert result == {
        "face": {
            "face_id": str(near.face_id),
            "account_id": str(account.account_id),
            "event_id": None,
            "user_data": "u",
            "external_id": "e",
            "avatar": None,
            "lists": [str(row.list_id)],
        }
    }
    results = answer[0]["matches"][1].pop("result")
    assert [each["face"]["face_id"] for each in results] == [str(near.face_id), str(far.face_id)]
    similarity = version.calibration.similarity(float(VECTORS[0] @ VECTORS[1]))
    assert results[1]["similarity"] == pytest.approx(similarity, abs=1e-6)
    assert answer == [
        {
            "reference": {"id": "r", "type": "raw_descriptor"},
            "matches": [{"filters": {"origin": "faces", **filters}}, {"filters": {"origin": "faces"}}],
        }
    ]


def test_every_type_of_reference(client: Client, account: Account, version: DescriptorVersion) -> None:
    face = make_face(account, VECTORS[0], external_id="known")
    event = make_matched_event(account, VECTORS[0], external_id="seen", track_id="track")
    attribute = make_attribute(account, VECTORS[0])
    make_face(account, VECTORS[1])
    references = [
        stored("face", face.face_id),
        stored("face", str(face.face_id).upper()),
        stored("face_external_id", "known"),
        stored("event", event.event_id),
        stored("event_external_id", "seen"),
        stored("event_track_id", "track"),
        stored("attribute", attribute.attribute_id),
        raw(VECTORS[0], "any name"),
        {**raw(VECTORS[0]), "version": 9101},
        {"type": "sdk_descriptor", "data": text(sdk_encode(VECTORS[0], version))},
    ]
    answer = matched(client, references, {"filters": {"origin": "faces"}, "limit": 1, "targets": ["face_id"]})
    assert [each["reference"]["type"] for each in answer] == [each["type"] for each in references]
    assert [each["reference"]["id"].lower() for each in answer] == [each.get("id", "").lower() for each in references]
    for each in answer:
        (result,) = each["matches"][0]["result"]
        assert result["face"] == {"face_id": str(face.face_id)}
        assert result["similarity"] == pytest.approx(1.0, abs=1e-6)


def test_every_origin(client: Client, account: Account) -> None:
    face = make_face(account, VECTORS[0])
    event = make_matched_event(account, VECTORS[0], source="gate", age=30)
    make_matched_event(account, VECTORS[1], source="door", age=30)
    attribute = make_attribute(account, VECTORS[0])
    ids = [str(attribute.attribute_id), str(uuid4())]
    events = {"origin": "events", "sources": ["gate"], "age__gte": 18, "create_time__gte": "now-9y"}
    answer = matched(
        client,
        raw(VECTORS[0]),
        FACES,
        {"filters": events},
        {"filters": {"origin": "attributes", "attribute_ids": ids}},
        {"filters": {"origin": "events", "event_ids": [str(event.event_id)]}, "targets": ["event_id", "similarity"]},
    )
    assert found_ids(answer) == [str(face.face_id)]
    assert found_ids(answer, "event", 1) == [str(event.event_id)]
    assert answer[0]["matches"][1]["filters"] == events
    assert answer[0]["matches"][1]["result"][0]["event"]["source"] == "gate"
    assert found_ids(answer, "attribute", 2) == ids[:1]
    assert answer[0]["matches"][3]["result"][0]["event"] == {"event_id": str(event.event_id)}


def test_events_by_area_and_id(client: Client, account: Account) -> None:
    places = ((10.0, 60.0), (10.5, 60.0), (-170.0, 60.0))
    near, edge, far = (make_matched_event(account, VECTORS[0], longitude=x, latitude=y) for x, y in places)
    make_matched_event(account, VECTORS[0])
    area: dict[str, Any] = {
        "origin_longitude": 10.0,
        "origin_latitude": 60.0,
        "longitude_delta": 0.5,
        "latitude_delta": 0.01,
    }
    first, second, third = sorted(str(each.event_id) for each in (near, edge, far))
    ids: dict[str, Any] = {"event_ids": [first, second, third]}
    blocks = [area, ids | {"event_id__gte": second}, ids | {"event_id__gte": second, "event_id__lt": third}]
    answer = matched(
        client, raw(VECTORS[0]), *({"filters": {"origin": "events", **each}, "limit": 5} for each in blocks)
    )
    assert found_ids(answer, "event", 0) == [str(near.event_id), str(edge.event_id)]
    assert sorted(found_ids(answer, "event", 1)) == [second, third]
    assert found_ids(answer, "event", 2) == [second]
    for wrong in (area | {"longitude_delta": 91}, area | {"origin_latitude": 91}, {"event_id__gte": "1"}):
        failed(client, body(raw(VECTORS[0]), {"filters": {"origin": "events", **wrong}}), 400, 12027)


def test_limit_and_threshold(client: Client, account: Account, version: DescriptorVersion) -> None:
    for vector in VECTORS[:10]:
        make_face(account, vector)
    similarities = sorted(
        (version.calibration.similarity(float(VECTORS[0] @ vector)) for vector in VECTORS[:10]), reverse=True
    )
    threshold = (similarities[4] + similarities[5]) / 2
    answer = matched(
        client, raw(VECTORS[0]), FACES, {**FACES, "limit": 100}, {**FACES, "limit": 100, "threshold": threshold}
    )
    results = [[each["similarity"] for each in block["result"]] for block in answer[0]["matches"]]
    assert [len(each) for each in results] == [3, 10, 5]
    assert results[1] == pytest.approx(similarities, abs=1e-6)
    assert results[2] == results[1][:5]


def test_msgpack(client: Client, account: Account) -> None:
    face = make_face(account, VECTORS[0])
    answer = client.post(
        "/6/matcher/faces",
        ormsgpack.packb(body(raw(VECTORS[0]))),
        content_type="application/msgpack",
        headers={"Accept": "application/msgpack"},
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/msgpack")
    assert found_ids(ormsgpack.unpackb(answer.content)) == [str(face.face_id)]


def test_an_external_id_stands_for_all_who_have_it(client: Client, account: Account) -> None:
    for vector in VECTORS[:3]:
        make_face(account, vector, external_id="family")
    answer = matched(client, [stored("face_external_id", "family"), raw(VECTORS[5])])
    assert [each["reference"]["id"] for each in answer] == ["family"] * 3 + ["r"]
    for _ in range(28):
        make_face(account, VECTORS[0], external_id="family")
    failed(client, body(stored("face_external_id", "family")), 400, 31007)


def test_candidates_that_do_not_exist_are_no_error(client: Client, account: Account) -> None:
    make_face(account, VECTORS[0])
    blocks: list[dict[str, Any]] = [
        {"filters": {"origin": "faces", "face_ids": [str(uuid4())]}},
        {"filters": {"origin": "faces", "list_id": str(uuid4())}},
        {"filters": {"origin": "faces", "external_ids": ["nobody"]}},
        {"filters": {"origin": "events", "event_ids": [str(uuid4())]}},
        {"filters": {"origin": "attributes", "attribute_ids": [str(uuid4())]}},
    ]
    (answer,) = matched(client, raw(VECTORS[0]), *blocks)
    assert [block["result"] for block in answer["matches"]] == [[]] * 5


def test_targets(client: Client, account: Account) -> None:
    make_face(account, VECTORS[0], external_id="e")
    (answer,) = matched(client, raw(VECTORS[0]), {**FACES, "targets": ["external_id", "similarity"]})
    (result,) = answer["matches"][0]["result"]
    assert set(result) == {"face", "similarity"}
    assert result["face"] == {"external_id": "e"}
    failed(client, body(raw(VECTORS[0]), {**FACES, "targets": ["source"]}), 400, 22016)
    failed(client, body(raw(VECTORS[0]), {"filters": {"origin": "events"}, "targets": ["avatar"]}), 400, 23005)


@pytest.mark.parametrize("kind", ["face", "event", "attribute"])
def test_the_similarity_alone(client: Client, account: Account, kind: str) -> None:
    make_face(account, VECTORS[0])
    make_matched_event(account, VECTORS[0])
    attribute = make_attribute(account, VECTORS[0])
    ids = {"attribute_ids": [str(attribute.attribute_id)]} if kind == "attribute" else {}
    block = {"filters": {"origin": f"{kind}s", **ids}, "targets": ["similarity"]}
    (answer,) = matched(client, raw(VECTORS[0]), block)
    assert answer["matches"][0]["result"] == [{kind: {}, "similarity": pytest.approx(1.0, abs=1e-6)}]


def test_number_of_queries_is_constant(
    client: Client,
    account: Account,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest, "_census", lambda table, members, period: (100, 0.0))
    for count in (1, 20):
        faces = [make_face(account, VECTORS[0], external_id="x") for _ in range(count)]
        event = make_matched_event(account, VECTORS[0])
        references = [stored("face", faces[0].face_id), stored("event", event.event_id), raw(VECTORS[0])]
        blocks = [{**FACES, "limit": 100}, {"filters": {"origin": "events"}, "limit": 100}]
        # the account; references: faces, events; scans: 3 × 2; rows of faces, rows of events
        with django_assert_num_queries(1 + 2 + 6 + 2):
            matched(client, references, *blocks)
