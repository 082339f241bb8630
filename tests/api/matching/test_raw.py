"""POST /6/matcher/raw."""

import base64
from typing import Any

import ormsgpack
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.common.descriptors import DescriptorVersion, Vector, raw_encode, sdk_encode, versions
from apps.common.xpk import xpk_encode
from tests.factories import client_of, make_account, make_version, token_client, unit_vectors

pytestmark = pytest.mark.django_db
DIMENSION = 16
VECTORS = unit_vectors(6, DIMENSION, seed=3)


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    found = make_version(9201, DIMENSION)
    monkeypatch.setitem(versions._defaults, "face", found.version)
    return found


@pytest.fixture
def client() -> Client:
    return client_of(make_account())


def raw(vector: Vector, name: str) -> dict[str, Any]:
    data = base64.b64encode(raw_encode(vector, versions.get(9201))).decode()
    return {"id": name, "type": "raw_descriptor", "data": data}


def sdk(vector: Vector, name: str, version: int = 9201) -> dict[str, Any]:
    data = base64.b64encode(sdk_encode(vector, versions.get(version))).decode()
    return {"id": name, "type": "sdk_descriptor", "data": data}


def post(client: Client, references: Any, candidates: Any) -> Any:
    data = {"references": references, "candidates": candidates}
    return client.post("/6/matcher/raw", data, content_type="application/json")


def test_similarities_in_the_order_of_the_request(
    client: Client, version: DescriptorVersion, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    references = [raw(VECTORS[0], "a"), sdk(VECTORS[1], "b")]
    candidates = [sdk(VECTORS[2], "c"), raw(VECTORS[0], "d"), raw(VECTORS[3], "e")]
    with django_assert_num_queries(1):  # the account
        answer = post(client, references, candidates)
    assert answer.status_code == 200
    matches = answer.json()["matches"]
    assert [each["reference_id"] for each in matches] == ["a", "b"]
    for found, vector in zip(matches, VECTORS[:2], strict=True):
        assert [each["candidate_id"] for each in found["matches"]] == ["c", "d", "e"]
        expected = [version.calibration.similarity(float(vector @ VECTORS[index])) for index in (2, 0, 3)]
        assert [each["similarity"] for each in found["matches"]] == pytest.approx(expected, abs=1e-6)


def test_files_of_several(client: Client, version: DescriptorVersion) -> None:
    def file(count: int) -> dict[str, Any]:
        parts = [sdk_encode(vector, version) for vector in VECTORS[:count]]
        return {"id": f"{count}", "type": "xpk_file", "data": base64.b64encode(xpk_encode(parts)).decode()}

    found = post(client, [file(2)], [file(3)]).json()["matches"]
    assert [[each["candidate_id"] for each in row["matches"]] for row in found] == [["3"] * 3] * 2
    assert [row["matches"][at]["similarity"] for at, row in enumerate(found)] == pytest.approx([1, 1], abs=1e-6)
    assert post(client, [file(6)] * 6, [file(1)]).json()["error_code"] == 31007


def test_msgpack(client: Client) -> None:
    body = ormsgpack.packb({"references": [raw(VECTORS[0], "a")], "candidates": [raw(VECTORS[0], "b")]})
    headers = {"Accept": "application/msgpack"}
    answer = client.post("/6/matcher/raw", body, content_type="application/msgpack", headers=headers)
    (found,) = ormsgpack.unpackb(answer.content)["matches"]
    assert found["matches"][0]["similarity"] == pytest.approx(1.0, abs=1e-6)


def test_versions(client: Client) -> None:
    make_version(9202, 8)
    old = unit_vectors(2, 8)
    answer = post(client, [raw(VECTORS[0], "a")], [sdk(old[0], "b", 9202)])
    assert (answer.status_code, answer.json()["error_code"]) == (400, 31005)
    answer = post(client, [sdk(old[1], "a", 9202)], [sdk(old[0], "b", 9202)])
    assert (answer.status_code, answer.json()["error_code"]) == (400, 31001)


def test_limits(client: Client) -> None:
    one = raw(VECTORS[0], "a")
    for references, candidates, limit in (([one] * 31, [one], "30"), ([one], [one] * 1001, "1000")):
        answer = post(client, references, candidates)
        assert (answer.status_code, answer.json()["error_code"]) == (400, 31007)
        assert limit in answer.json()["detail"]


@pytest.mark.parametrize(
    ("references", "candidates", "code"),
    [
        ([], [{"type": "raw_descriptor", "data": "AA=="}], 12027),
        ([{"type": "raw_descriptor", "data": "AA=="}], [], 12027),
        ([{"type": "face", "id": "x"}], [{"type": "raw_descriptor", "data": "AA=="}], 12027),
        ([{"type": "raw_descriptor", "id": "x"}], [{"type": "raw_descriptor", "data": "AA=="}], 12027),
        ([{"type": "raw_descriptor", "data": "AA=="}], [{"type": "raw_descriptor", "data": "AA=="}], 12034),
        ([{"type": "sdk_descriptor", "data": "AA=="}], [{"type": "raw_descriptor", "data": "AA=="}], 12038),
        ([{"type": "raw_descriptor", "data": "A"}], [{"type": "raw_descriptor", "data": "AA=="}], 22012),
    ],
)
def test_bad_bodies(client: Client, references: Any, candidates: Any, code: int) -> None:
    answer = post(client, references, candidates)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


def test_credentials() -> None:
    body = ([raw(VECTORS[0], "a")], [raw(VECTORS[1], "b")])
    assert post(Client(), *body).json()["error_code"] == 12010
    assert post(token_client(make_account()), *body).status_code == 200
