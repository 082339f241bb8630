"""POST /6/matcher/faces."""

import base64
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import ormsgpack
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.descriptors import DescriptorVersion, Vector, raw_encode, sdk_encode, versions
from apps.common.xpk import xpk_encode
from apps.events.models import Event
from apps.events.types import EventDescriptorData
from apps.faces import nearest
from apps.faces.attributes import attribute_create
from apps.faces.models import Face
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, BasicData, DescriptorData, TemporaryAttribute
from tests.factories import basic_client, client_of, make_account, make_event, make_version, token_client, unit_vectors

pytestmark = pytest.mark.django_db
DIMENSION = 16
VECTORS = unit_vectors(12, DIMENSION, seed=7)
FACES = {"filters": {"origin": "faces"}}


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    """A small version is the default one."""
    found = make_version(9101, DIMENSION)
    monkeypatch.setitem(versions._defaults, "face", found.version)
    return found


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def attribute_data(vector: Vector, version: int = 9101) -> AttributeData:
    return AttributeData(descriptors=(DescriptorData(version, vector),))


def make_face(account: Account, vector: Vector, **columns: Any) -> Face:
    return face_create(account_id=account.account_id, attribute=attribute_data(vector), **columns)


def make_attribute(account: Account, vector: Vector) -> TemporaryAttribute:
    return attribute_create(account_id=account.account_id, data=attribute_data(vector))


def make_matched_event(account: Account, vector: Vector, **columns: Any) -> Event:
    return make_event(account, EventDescriptorData(9101, vector), **columns)


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
    blocks = [
        {"filters": {"origin": "faces", "face_ids": [str(uuid4())]}},
        {"filters": {"origin": "faces", "list_id": str(uuid4())}},
        {"filters": {"origin": "faces", "external_ids": ["nobody"]}},
        {"filters": {"origin": "events", "event_ids": [str(uuid4())]}},
        {"filters": {"origin": "attributes", "attribute_ids": [str(uuid4())]}},
    ]
    (answer,) = matched(client, raw(VECTORS[0]), *blocks)
    assert [block["result"] for block in answer["matches"]] == [[]] * 5


@pytest.mark.parametrize(
    ("kind", "object_id", "status", "code"),
    [
        ("face", uuid4(), 404, 22002),
        ("event", uuid4(), 404, 23002),
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
    bare = face_create(account_id=account.account_id, external_id="bare")
    old = face_create(account_id=account.account_id, attribute=attribute_data(unit_vectors(1, 8)[0], 9102))
    event = make_event(account, track_id="t")
    attribute = attribute_create(account_id=account.account_id, data=AttributeData(basic=BasicData(age=3)))
    assert str(bare.face_id) in failed(client, body(stored("face_external_id", "bare")), 400, 11034)
    failed(client, body(stored("face", bare.face_id)), 400, 11034)
    failed(client, body(stored("event_track_id", "t")), 400, 11034)
    failed(client, body(stored("event", event.event_id)), 400, 11034)
    failed(client, body(stored("attribute", attribute.attribute_id)), 400, 11034)
    assert "9101" in failed(client, body(stored("face", old.face_id)), 400, 22018)


def bad_descriptors() -> Iterator[Any]:
    good = raw_encode(VECTORS[0], make_version(9101, DIMENSION))
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
        ({"references": [{"type": "person", "id": "1"}], "candidates": [FACES]}, "references.0.type"),
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


def test_targets(client: Client, account: Account) -> None:
    make_face(account, VECTORS[0], external_id="e")
    (answer,) = matched(client, raw(VECTORS[0]), {**FACES, "targets": ["external_id", "similarity"]})
    (result,) = answer["matches"][0]["result"]
    assert set(result) == {"face", "similarity"}
    assert result["face"] == {"external_id": "e"}
    failed(client, body(raw(VECTORS[0]), {**FACES, "targets": ["source"]}), 400, 22016)
    failed(client, body(raw(VECTORS[0]), {"filters": {"origin": "events"}, "targets": ["avatar"]}), 400, 23005)


def test_accounts_are_isolated(client: Client, account: Account) -> None:
    """Another account's objects are no references and no candidates, by whatever id they are named."""
    stranger = make_account()
    row = list_create(account_id=stranger.account_id)
    face = make_face(stranger, VECTORS[0], external_id="x", lists=[row.list_id])
    event = make_matched_event(stranger, VECTORS[0], external_id="x", track_id="x")
    attribute = make_attribute(stranger, VECTORS[0])
    for reference, code in [
        (stored("face", face.face_id), 22002),
        (stored("face_external_id", "x"), 11041),
        (stored("event", event.event_id), 23002),
        (stored("event_external_id", "x"), 11057),
        (stored("event_track_id", "x"), 11058),
        (stored("attribute", attribute.attribute_id), 22011),
    ]:
        answer = post(client, body(reference))
        assert answer.json()["error_code"] == code
    blocks = [
        FACES,
        {"filters": {"face_ids": [str(face.face_id)]}},
        {"filters": {"list_id": str(row.list_id)}},
        {"filters": {"origin": "events"}},
        {"filters": {"origin": "events", "event_ids": [str(event.event_id)]}},
        {"filters": {"origin": "attributes", "attribute_ids": [str(attribute.attribute_id)]}},
    ]
    (answer,) = matched(client, raw(VECTORS[0]), *blocks)
    assert [block["result"] for block in answer["matches"]] == [[]] * 6
    foreign = {"filters": {"account_id": str(stranger.account_id)}}
    failed(client, body(raw(VECTORS[0]), foreign), 403, 11069)
    failed(client, body(raw(VECTORS[0])), 403, 11063, f"?account_id={stranger.account_id}")
    failed(client, body(raw(VECTORS[0]), foreign), 400, 31000, f"?account_id={account.account_id}")


def test_advanced_user_matches_another_account(account: Account) -> None:
    face = make_face(account, VECTORS[0])
    make_face(make_account(), VECTORS[0])
    reader = basic_client(make_account(AccountType.ADVANCED_USER))
    named = {"filters": {"account_id": str(account.account_id)}}
    assert found_ids(matched(reader, raw(VECTORS[0]), named)) == [str(face.face_id)]
    answer = post(reader, body(raw(VECTORS[0])), f"?account_id={account.account_id}")
    assert found_ids(answer.json()) == [str(face.face_id)]


@pytest.mark.parametrize(
    ("kind", "origin", "right"),
    [
        ("face", "faces", {"face": ["matching"]}),
        ("event", "events", {"event": ["matching"]}),
        ("attribute", "attributes", {"attribute": ["matching"]}),
        ("face", "events", {"face": ["matching"], "event": ["matching"]}),
        (None, "faces", {"face": ["matching"]}),
    ],
)
def test_tokens_need_the_right_to_match(
    account: Account, kind: str | None, origin: str, right: dict[str, list[str]]
) -> None:
    objects = {
        "face": make_face(account, VECTORS[0]).face_id,
        "event": make_matched_event(account, VECTORS[0]).event_id,
        "attribute": make_attribute(account, VECTORS[0]).attribute_id,
    }
    filters: dict[str, Any] = {"origin": origin}
    if origin == "attributes":
        filters["attribute_ids"] = [str(objects["attribute"])]
    data = body(stored(kind, objects[kind]) if kind else raw(VECTORS[0]), {"filters": filters})
    assert post(token_client(account, **right), data).status_code == 200
    everything = {"face": ["matching", "view"], "event": ["matching", "view"], "attribute": ["matching", "view"]}
    for missing in right:
        rights = everything | {missing: ["view"]}
        assert f'"{missing}"' in failed(token_client(account, **rights), data, 403, 11059)


def test_no_credentials() -> None:
    failed(Client(), body(raw(VECTORS[0])), 403, 12010)


def test_number_of_queries_is_constant(
    client: Client,
    account: Account,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest, "_census", lambda members, period: (100, 0.0))
    for count in (1, 20):
        faces = [make_face(account, VECTORS[0], external_id="x") for _ in range(count)]
        event = make_matched_event(account, VECTORS[0])
        references = [stored("face", faces[0].face_id), stored("event", event.event_id), raw(VECTORS[0])]
        blocks = [{**FACES, "limit": 100}, {"filters": {"origin": "events"}, "limit": 100}]
        # the account; references: faces, events; scans: 3 × 2; rows of events
        with django_assert_num_queries(1 + 2 + 6 + 1):
            matched(client, references, *blocks)
