"""/6/verifiers: stored, listed, replaced with a new version, removed, and seen by their account alone."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.handlers.models import Verifier
from tests.api.handlers.helpers import JSON
from tests.api.handlers.requests import error_of
from tests.factories import basic_client, client_of, make_account, token_client

pytestmark = pytest.mark.django_db
POLICIES = {"detect_policy": {"estimate_mask": 1}, "verification_threshold": 0.75}


def create(client: Client, **body: Any) -> str:
    answer = client.post("/6/verifiers", {"policies": POLICIES, **body}, JSON)
    assert answer.status_code == 201, answer.json()
    verifier_id: str = answer.json()["verifier_id"]
    return verifier_id


def test_a_verifier_is_kept_and_shown_with_its_defaults(client: Client, account: Account) -> None:
    answer = client.post("/6/verifiers", {"description": "gate", "policies": POLICIES}, JSON)
    body = answer.json()
    assert answer.headers["Location"] == body["url"] == f"/6/verifiers/{body['verifier_id']}"
    stored = client.get(body["url"]).json()
    assert (stored["description"], stored["version"], stored["account_id"]) == ("gate", 1, str(account.account_id))
    policies = stored["policies"]
    assert policies["verification_threshold"] == 0.75
    assert (policies["detect_policy"]["estimate_mask"], policies["detect_policy"]["multiface_policy"]) == (1, 1)
    assert policies["extract_policy"] == {"extract_basic_attributes": 0, "fd_score_threshold": 0.0}
    assert policies["storage_policy"] == {
        "face_sample_policy": {"store_sample": 1},
        "attribute_policy": {"store_attribute": 0, "ttl": 300},
    }
    assert client.put(body["url"], {"policies": policies}, JSON).json() == {"version": 2}
    assert client.get(body["url"]).json()["policies"] == policies


def test_each_replacement_raises_the_version(client: Client) -> None:
    path = f"/6/verifiers/{create(client, description='old')}"
    for version in (2, 3):
        answer = client.put(path, {"policies": {}, "description": "new"}, JSON)
        assert (answer.status_code, answer.json()) == (200, {"version": version})
    assert client.put(path, {"policies": {"match_policy": []}}, JSON).status_code == 400
    stored = client.get(path).json()
    assert (stored["description"], stored["version"], stored["policies"]["verification_threshold"]) == ("new", 3, 0.9)
    assert stored["last_update_time"] > stored["create_time"]
    assert client.head(path).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.head(path).status_code == 404
    for answer in (client.get(path), client.delete(path), client.put(path, {"policies": {}}, JSON)):
        assert error_of(answer) == (404, 34004)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"policies": None},
        {"policies": {}, "colour": 1},
        {"policies": {}, "handler_type": 1},
        {"policies": {}, "description": "x" * 129},
        {"policies": {}, "verification_threshold": 0.5},
        {"policies": {"verification_threshold": 1.01}},
        {"policies": {"verification_threshold": "high"}},
        {"policies": {"match_policy": []}},
        {"policies": {"conditional_tags_policy": []}},
        {"policies": {"detect_policy": {"detect_body": 1}}},
        {"policies": {"detect_policy": {"detect_face": 0}}},
        {"policies": {"detect_policy": {"body_attributes": {}}}},
        {"policies": {"detect_policy": {"estimate_people_count": 1}}},
        {"policies": {"detect_policy": {"estimate_glasses": 1}}},
        {"policies": {"extract_policy": {"extract_face_descriptor": 0}}},
        {"policies": {"storage_policy": {"body_sample_policy": {}}}},
        {"policies": {"storage_policy": {"event_policy": {"store_event": 1}}}},
        {"policies": {"storage_policy": {"attribute_policy": {"filters": {}}}}},
        {"policies": {"storage_policy": {"attribute_policy": {"ttl": 86_401}}}},
    ],
)
def test_refused_everywhere(client: Client, body: Any) -> None:
    verifier_id = create(client)
    for answer in (
        client.post("/6/verifiers", body, JSON),
        client.post("/6/verifiers/validator", body, JSON),
        client.put(f"/6/verifiers/{verifier_id}", body, JSON),
    ):
        assert error_of(answer) == (400, 12027)
    assert client.get(f"/6/verifiers/{verifier_id}").json()["version"] == 1


def test_other_bodies(client: Client) -> None:
    path = f"/6/verifiers/{create(client)}"
    assert error_of(client.put(path, "{}", "text/plain")) == (400, 12017)
    assert error_of(client.post("/6/verifiers", "{", JSON)) == (400, 12002)
    answer = client.post("/6/verifiers/validator", {"policies": POLICIES}, JSON)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/6/verifiers/count").json() == {"verifiers_count": 1}


def test_list_and_count(client: Client, django_assert_num_queries: Any) -> None:
    made = [create(client, description=text) for text in ("a", "b", "a")]
    with django_assert_num_queries(2):  # the account, the page
        listed = client.get("/6/verifiers").json()["verifiers"]
    assert [each["verifier_id"] for each in listed] == made[::-1]
    found = client.get("/6/verifiers?description=a&page=2&page_size=1").json()["verifiers"]
    assert [each["verifier_id"] for each in found] == [made[0]]
    assert client.get("/6/verifiers/count?description=a").json() == {"verifiers_count": 2}
    assert client.get("/6/verifiers?page_size=1001").json()["error_code"] == 12012


@pytest.mark.parametrize("verifier_id", ["7", str(uuid4()), "%00"])
def test_unknown_ids(client: Client, verifier_id: str) -> None:
    path = f"/6/verifiers/{verifier_id}"
    for answer in (
        client.get(path), client.delete(path), client.put(path, {"policies": {}}, JSON),
        client.post(f"{path}/verifications?face_ids={uuid4()}", b"x", "image/jpeg"),
        client.post(f"{path}/raw", {}, JSON),
    ):  # fmt: skip
        assert error_of(answer) == (404, 34004)


def test_no_other_account_sees_it_whatever_its_visibility(client: Client, account: Account) -> None:
    """An account that reads everybody's data sees its own verifiers only."""
    path = f"/6/verifiers/{create(client)}"
    for other in (
        client_of(make_account()),
        basic_client(make_account("admin")),
        basic_client(make_account("advanced_user")),
    ):
        for answer in (
            other.get(path), other.put(path, {"policies": {}}, JSON), other.delete(path),
            other.post(f"{path}/verifications?face_ids={uuid4()}", b"x", "image/jpeg"),
        ):  # fmt: skip
            assert error_of(answer) == (404, 34004)
        assert other.head(path).status_code == 404
        assert other.get("/6/verifiers").json() == {"verifiers": []}
        assert error_of(other.get(f"/6/verifiers?account_id={account.account_id}")) == (403, 11063)
    assert client.get(f"{path}?account_id={account.account_id}").json()["version"] == 1


def test_rights_of_a_token(account: Account, client: Client) -> None:
    path = f"/6/verifiers/{create(client)}"
    viewer = token_client(account, verifier=["view"])
    assert viewer.get(path).status_code == viewer.get("/6/verifiers/count").status_code == 200
    for answer in (
        viewer.post("/6/verifiers", {"policies": {}}, JSON), viewer.post("/6/verifiers/validator", {}, JSON),
        viewer.put(path, {"policies": {}}, JSON), viewer.delete(path),
        viewer.post(f"{path}/verifications?face_ids={uuid4()}", b"x", "image/jpeg"),  # it cannot match faces
    ):  # fmt: skip
        assert error_of(answer) == (403, 11059)


def test_policies_that_this_version_cannot_read(client: Client, account: Account) -> None:
    verifier = Verifier.objects.create(account=account, policies={"later": 1})
    answer = client.post(f"/6/verifiers/{verifier.verifier_id}/raw", {}, JSON)
    assert error_of(answer) == (500, 34002)
