"""POST /6/matcher/bodies, and bodies in POST /6/matcher/raw."""

from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common import nearest
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector, raw_encode, sdk_encode, versions
from apps.common.xpk import xpk_encode
from apps.events.models import Event
from tests.api.matching.requests import DIMENSION, make_attribute, make_face, make_matched_event, stored, text
from tests.api.matching.requests import VECTORS as FACE_VECTORS
from tests.factories import basic_client, make_account, make_event, make_version, token_client, unit_vectors

pytestmark = pytest.mark.django_db
VERSION, OLD_VERSION, FACE_VERSION = 9111, 9112, 9101
BODY_DIMENSION = 24
VECTORS = unit_vectors(12, BODY_DIMENSION, seed=11)
ALL: dict[str, Any] = {"filters": {}}


@pytest.fixture(autouse=True)
def bodies(version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    """A small version of bodies is the default one, beside one of faces."""
    found = make_version(VERSION, BODY_DIMENSION, kind="body")
    monkeypatch.setitem(versions._defaults, "body", found.version)
    return found


def make_body(account: Account, vector: Vector, **columns: Any) -> Event:
    return make_event(account, Descriptor(VERSION, vector), **columns)


def sdk(vector: Vector, number: int = VERSION, name: str = "r") -> dict[str, Any]:
    return {"type": "sdk_descriptor", "id": name, "data": text(sdk_encode(vector, versions.get(number)))}


def raw(vector: Vector, number: int | None = None) -> dict[str, Any]:
    data = text(raw_encode(vector, versions.get(VERSION if number is None else number)))
    return {"type": "raw_descriptor", "id": "raw", "data": data} | ({} if number is None else {"version": number})


def body(references: Any, *blocks: dict[str, Any]) -> dict[str, Any]:
    given = references if isinstance(references, list) else [references]
    return {"references": given, "candidates": list(blocks) or [ALL]}


def post(client: Client, data: Any, query: str = "", path: str = "bodies") -> Any:
    return client.post(f"/6/matcher/{path}{query}", data, content_type="application/json")


def matched(client: Client, references: Any, *blocks: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    answer = post(client, body(references, *blocks), query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def failed(client: Client, data: Any, status: int, code: int, query: str = "", path: str = "bodies") -> str:
    answer = post(client, data, query, path)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.content
    return str(answer.json()["detail"])


def found_ids(answer: list[dict[str, Any]], block: int = 0) -> list[str]:
    return [each["event"]["event_id"] for each in answer[0]["matches"][block]["result"]]


def test_answer(client: Client, account: Account, bodies: DescriptorVersion) -> None:
    near = make_body(account, VECTORS[0], source="gate", tags=["a"])
    far = make_body(account, VECTORS[1], source="door")
    make_matched_event(account, FACE_VECTORS[0])
    gate = {"filters": {"sources": ["gate"], "tags": ["a"]}, "targets": ["event_id", "source"]}
    answer = matched(client, sdk(VECTORS[0]), gate, {**ALL, "limit": 2}, {**ALL, "threshold": 0.99})
    similarity = bodies.calibration.similarity(float(VECTORS[0] @ VECTORS[1]))
    assert answer[0]["reference"] == {"id": "r", "type": "sdk_descriptor"}
    first, second, third = answer[0]["matches"]
    assert first["filters"] == {"origin": "events", "sources": ["gate"], "tags": ["a"]}
    (result,) = first["result"]
    assert result["event"] == {"event_id": str(near.event_id), "source": "gate"}
    assert result["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert second["filters"] == {"origin": "events"}
    assert found_ids(answer, 1) == [str(near.event_id), str(far.event_id)]
    assert second["result"][1]["similarity"] == pytest.approx(similarity, abs=1e-6)
    assert found_ids(answer, 2) == [str(near.event_id)]
    assert len(third["result"][0]["event"]) > 20


def test_every_type_of_reference(client: Client, account: Account, bodies: DescriptorVersion) -> None:
    event = make_body(account, VECTORS[0], external_id="seen", track_id="track")
    make_body(account, VECTORS[1])
    references = [
        stored("event", event.event_id),
        stored("event_external_id", "seen"),
        stored("event_track_id", "track"),
        raw(VECTORS[0]),
        raw(VECTORS[0], VERSION),
        sdk(VECTORS[0]),
        {"type": "xpk_file", "id": "x", "data": text(xpk_encode([sdk_encode(VECTORS[0], bodies)]))},
    ]
    answer = matched(client, references, {**ALL, "limit": 1, "targets": ["event_id"]})
    assert [each["reference"]["type"] for each in answer] == [each["type"] for each in references]
    for each in answer:
        (result,) = each["matches"][0]["result"]
        assert result["event"] == {"event_id": str(event.event_id)}
        assert result["similarity"] == pytest.approx(1.0, abs=1e-6)


def test_face_and_body_of_one_event_are_matched_apart(client: Client, account: Account) -> None:
    event = make_event(account, Descriptor(FACE_VERSION, FACE_VECTORS[0]), Descriptor(VERSION, VECTORS[0]))
    other = make_event(account, Descriptor(FACE_VERSION, FACE_VECTORS[1]), Descriptor(VERSION, VECTORS[0]))
    reference = [stored("event", event.event_id)]
    of_bodies = matched(client, reference)[0]["matches"][0]["result"]
    assert [each["event"]["event_id"] for each in of_bodies] == [str(event.event_id), str(other.event_id)]
    assert [each["similarity"] for each in of_bodies] == pytest.approx([1, 1], abs=1e-6)
    answer = post(client, body(reference, {"filters": {"origin": "events"}}), path="faces").json()
    assert [each["similarity"] < 0.99 for each in answer[0]["matches"][0]["result"]] == [False, True]


def test_a_reference_without_a_body_descriptor(client: Client, account: Account) -> None:
    make_version(OLD_VERSION, 8, kind="body")
    face = make_matched_event(account, FACE_VECTORS[0], external_id="face")
    old = make_event(account, Descriptor(OLD_VERSION, unit_vectors(1, 8)[0]), track_id="old")
    for reference, event in (
        (stored("event", face.event_id), face),
        (stored("event_external_id", "face"), face),
        (stored("event_track_id", "old"), old),
    ):
        detail = failed(client, body(reference), 404, 23007)
        assert str(VERSION) in detail
        assert str(event.event_id) in detail
    # For faces, the body descriptor does not count: the event has no face descriptor at all.
    failed(client, body(stored("event", old.event_id), {"filters": {"origin": "events"}}), 400, 11034, path="faces")


@pytest.mark.parametrize(
    ("kind", "object_id", "status", "code"),
    [
        ("event", uuid4(), 404, 23001),
        ("event_external_id", "nobody", 400, 11057),
        ("event_track_id", "nobody", 400, 11058),
        ("face", uuid4(), 400, 22017),
        ("face_external_id", "x", 400, 22017),
        ("attribute", uuid4(), 400, 22017),
        ("body", uuid4(), 400, 22017),
    ],
)
def test_references_that_do_not_exist(client: Client, kind: str, object_id: object, status: int, code: int) -> None:
    detail = failed(client, body([sdk(VECTORS[0]), stored(kind, object_id)]), status, code)
    assert code == 22017 or str(object_id) in detail


def test_several_events_that_do_not_exist(client: Client) -> None:
    failed(client, body([stored("event", uuid4()), stored("event", uuid4())]), 404, 23002)


def test_faces_and_bodies_never_mix(client: Client, account: Account) -> None:
    face = sdk(FACE_VECTORS[0], FACE_VERSION)
    detail = failed(client, body(face), 400, 31001)
    assert (str(FACE_VERSION) in detail, str(VERSION) in detail) == (True, True)
    failed(client, body(sdk(VECTORS[0])), 400, 31001, path="faces")
    failed(client, {"references": [sdk(VECTORS[0])], "candidates": [face]}, 400, 31005, path="raw")
    failed(client, body(sdk(VECTORS[0])), 400, 12036, f"?descriptor_version={FACE_VERSION}")
    failed(client, body(sdk(VECTORS[0])), 400, 12012, "?matching_speed=faster")
    failed(client, body(sdk(VECTORS[0])), 400, 12036, f"?descriptor_version={VERSION}", path="faces")


def test_another_version_on_request(client: Client, account: Account) -> None:
    make_version(OLD_VERSION, 8, kind="body")
    old = unit_vectors(2, 8)
    event = make_event(account, Descriptor(OLD_VERSION, old[0]))
    make_body(account, VECTORS[0])
    failed(client, body(sdk(old[0], OLD_VERSION)), 400, 31001)
    answer = matched(client, sdk(old[1], OLD_VERSION), query=f"?descriptor_version={OLD_VERSION}")
    assert found_ids(answer) == [str(event.event_id)]


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ({"type": "raw_descriptor", "data": "AAAA"}, 12034),
        ({"type": "raw_descriptor", "data": "?"}, 22012),
        ({"type": "sdk_descriptor", "data": "AAAA"}, 12038),
        ({"type": "xpk_file", "data": text(b"garbage")}, 12035),
        ({"type": "xpk_file", "data": text(xpk_encode([]))}, 12037),
        ({"type": "raw_descriptor", "data": text(bytes(BODY_DIMENSION * 4))}, 12038),
        ({"type": "raw_descriptor", "data": text(np.full(BODY_DIMENSION, np.nan, "<f4").tobytes())}, 12038),
        ({"type": "raw_descriptor", "data": "AAAA", "version": 4711}, 12036),
        ({"type": "raw_descriptor"}, 12027),
        ({"type": "event", "id": "1"}, 12027),
    ],
)
def test_bad_references(client: Client, reference: dict[str, Any], code: int) -> None:
    failed(client, body(reference), 400, code)


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"filters": {"origin": "faces"}}, "filters.origin"),
        ({"filters": {"origin": "attributes", "attribute_ids": [str(uuid4())]}}, "filters.attribute_ids"),
        ({"filters": {"list_id": str(uuid4())}}, "filters.list_id"),
        ({"filters": {"event_ids": [str(uuid4())] * 1001}}, "filters.event_ids"),
        ({"filters": {"event_ids": [str(uuid4())] * 20_000}}, "filters.event_ids"),
        ({"filters": []}, "filters"),
        ({}, "filters"),
        ({**ALL, "limit": 0}, "limit"),
        ({**ALL, "threshold": "nan"}, "threshold"),
    ],
)
def test_bad_candidates(client: Client, block: dict[str, Any], path: str) -> None:
    assert f"Path: 'candidates.0.{path}'" in failed(client, body(sdk(VECTORS[0]), block), 400, 12027)


def test_limits(client: Client, account: Account) -> None:
    one = sdk(VECTORS[0])
    assert "30" in failed(client, body([one] * 31), 400, 31007)
    assert "30" in failed(client, body(one, *[ALL] * 31), 400, 31007)
    assert "100" in failed(client, body(one, {**ALL, "limit": 101}), 400, 31007)
    for _ in range(31):
        make_body(account, VECTORS[0], external_id="many")
    failed(client, body(stored("event_external_id", "many")), 400, 31007)
    failed(client, body(one, {**ALL, "targets": ["face_id", "avatar"]}), 400, 23005)


def test_accounts_are_isolated(client: Client, account: Account) -> None:
    stranger = make_account()
    event = make_body(stranger, VECTORS[0], external_id="x", track_id="x")
    failed(client, body(stored("event", event.event_id)), 404, 23001)
    failed(client, body(stored("event_external_id", "x")), 400, 11057)
    failed(client, body(stored("event_track_id", "x")), 400, 11058)
    (answer,) = matched(client, sdk(VECTORS[0]), ALL, {"filters": {"event_ids": [str(event.event_id)]}})
    assert [block["result"] for block in answer["matches"]] == [[], []]
    foreign = {"filters": {"account_id": str(stranger.account_id)}}
    failed(client, body(sdk(VECTORS[0]), foreign), 403, 11069)
    failed(client, body(sdk(VECTORS[0])), 403, 11063, f"?account_id={stranger.account_id}")
    failed(client, body(sdk(VECTORS[0]), foreign), 400, 31000, f"?account_id={account.account_id}")
    reader = basic_client(make_account(AccountType.ADVANCED_USER))
    assert found_ids(matched(reader, sdk(VECTORS[0]), foreign)) == [str(event.event_id)]


def test_tokens_need_the_right_to_match_events(client: Client, account: Account) -> None:
    event = make_body(account, VECTORS[0])
    for reference in (sdk(VECTORS[0]), stored("event", event.event_id)):
        assert post(token_client(account, event=["matching"]), body(reference)).status_code == 200
        detail = failed(token_client(account, event=["view"], face=["matching"]), body(reference), 403, 11059)
        assert '"event"' in detail
    failed(Client(), body(sdk(VECTORS[0])), 403, 12010)


def test_without_a_network_of_bodies(client: Client, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    make_body(account, VECTORS[0])
    monkeypatch.delitem(versions._defaults, "body")
    assert "body_descriptor" in failed(client, body(sdk(VECTORS[0])), 400, 200005)
    failed(client, {"references": [sdk(VECTORS[0])], "candidates": [sdk(VECTORS[1])]}, 400, 200005, path="raw")


def test_raw_matching_of_bodies(client: Client, bodies: DescriptorVersion) -> None:
    data = {"references": [sdk(VECTORS[0], name="a")], "candidates": [raw(VECTORS[1], VERSION), sdk(VECTORS[0])]}
    answer = post(client, data, path="raw")
    assert answer.status_code == 200, answer.content
    (found,) = answer.json()["matches"]
    expected = [bodies.calibration.similarity(float(VECTORS[0] @ VECTORS[each])) for each in (1, 0)]
    assert [each["similarity"] for each in found["matches"]] == pytest.approx(expected, abs=1e-6)
    # Without a version, a raw descriptor is one of faces.
    failed(client, {"references": [raw(VECTORS[0])], "candidates": [raw(VECTORS[0])]}, 400, 12034, path="raw")
    assert DIMENSION != BODY_DIMENSION


def test_stored_objects_of_faces_are_no_bodies(client: Client, account: Account) -> None:
    make_face(account, FACE_VECTORS[0])
    make_attribute(account, FACE_VECTORS[0])
    assert matched(client, sdk(VECTORS[0]))[0]["matches"][0]["result"] == []


def test_human_matching_is_a_feature(client: Client) -> None:
    assert client.get("/6/features").json()["components"]["human_matching"] is True


def test_number_of_queries_is_constant(
    client: Client,
    account: Account,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest, "_census", lambda table, members, period: (100, 0.0))
    for count in (1, 20):
        events = [make_body(account, VECTORS[0]) for _ in range(count)]
        # the account; references; scans: 2 × 2; rows of events
        with django_assert_num_queries(1 + 1 + 4 + 1):
            matched(client, [stored("event", events[0].event_id), sdk(VECTORS[0])], {**ALL, "limit": 100}, ALL)
