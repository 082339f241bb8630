"""`GET /1/license`, and what requests, handlers and tasks may do with a licence."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.api.routes import api_routes
from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.times import utc_now
from apps.faces.models import Face, FaceAttribute
from apps.licenses.document import Feature, Grant, license_write
from apps.licenses.services import license_install
from apps.monitoring.health import checks
from apps.monitoring.metrics.sources import sources
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler, nobody
from tests.api.handlers.requests import error_of
from tests.api.tasks.test_estimator import archive, create, ended
from tests.conformance.test_permissions import answered
from tests.factories import basic_client, client_of, make_account
from tests.licenses import KEY, NO, counted, licensed, make_license

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
DESCRIBED = {"attribute": {"basic_attributes": {"attributes": {"age": 30, "gender": 1}}}}
STORING = {"storage_policy": {"face_policy": {"store_face": 1}}}
OPEN_ROUTES = {
    "/version", "/6/version", "/healthcheck", "/6/healthcheck", "/6/features", "/metrics", "/1/license", "/6/erasures",
}  # fmt: skip


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture
def admin() -> Client:
    return basic_client(make_account(AccountType.ADMIN))


def pictures(*data: bytes) -> dict[str, Any]:
    return {"image": [SimpleUploadedFile(f"{place}.jpg", each, JPEG) for place, each in enumerate(data)]}


def install(**features: Grant) -> None:
    license_install(text=license_write(make_license({Feature(name): value for name, value in features.items()}), KEY))


# --- the resource ---------------------------------------------------------------------------------------------


def test_an_open_platform_says_so(admin: Client) -> None:
    found = admin.get("/1/license").json()
    assert (found["unlimited"], found["license_id"], found["licensee"], found["notices"]) == (True, None, None, [])
    assert found["expiration_time"] == {"value": None, "is_expired": False, "license_period_rest": None}
    assert set(found["features"]) == {each.value for each in Feature}
    free = {"available": True, "limit": None, "used": None, "balance": None, "rate": None}
    assert all(each == free for each in found["features"].values())
    assert admin.get("/1/license").json()["installation_id"] == found["installation_id"]
    assert Client().get("/6/features").json()["license"] is True


def test_features_and_limits(admin: Client, client: Client) -> None:
    with licensed() as license:
        license_install(text=license_write(license, KEY))
        install(faces=counted(4), liveness=counted(5), deepfake=NO)
        client.post("/6/faces", DESCRIBED, JSON)
        client.post("/6/faces", {}, JSON)  # does not count
        found = admin.get("/1/license").json()
        assert (found["unlimited"], found["licensee"]) == (False, "Harbour Ltd")
        assert 364 * 86_400 < found["expiration_time"]["license_period_rest"] <= 365 * 86_400
        assert found["features"]["faces"] == {"available": True, "limit": 4, "used": 1, "balance": 3, "rate": 25.0}
        assert found["features"]["liveness"]["balance"] == 5
        assert found["features"]["deepfake"]["available"] is False
        assert found["features"]["iso"]["available"] is True
        some = admin.get("/1/license?targets=faces,expiration_time").json()
        assert set(some["features"]) == {"faces"}
        assert admin.get("/1/license?targets=iso").json()["expiration_time"] is None
        sources.forget()
        rates = {
            name: metric.samples[0].value
            for metric in sources.families()
            if (name := metric.name).startswith("luna_license") and metric.samples
        }
        assert rates["luna_license_valid"] == 1
        assert (rates["luna_license_faces_limit_rate"], rates["luna_license_liveness_balance"]) == (25.0, 5.0)
    sources.forget()


@pytest.mark.parametrize("targets", ["face", "faces,", "FACES", "faces,x", "a\0b"])
def test_wrong_targets(admin: Client, targets: str) -> None:
    answer = admin.get("/1/license", query_params={"targets": targets})
    assert answer.status_code == 400
    if "\0" not in targets:
        assert answer.json()["error_code"] == 33006
        assert "expiration_time, faces" in answer.json()["detail"]


def test_only_administrators_read_it(client: Client) -> None:
    assert error_of(Client().get("/1/license")) == (403, 12010)
    assert client.get("/1/license").status_code == 403
    assert error_of(basic_client(make_account(AccountType.ADVANCED_USER)).get("/1/license"))[0] == 403


@pytest.mark.parametrize(
    "text", ["", "{}", license_write(make_license(), KEY).replace('"license": "', '"license": "AAAA')]
)
def test_a_licence_that_cannot_be_used(admin: Client, text: str) -> None:
    with licensed(text=text):
        assert error_of(admin.get("/1/license")) == (403, 33007)
        assert Client().get("/6/features").json()["license"] is False
        checks.forget()
        assert Client().get("/healthcheck").status_code == 200
        unhealthy = Client().get("/healthcheck?include_luna_services=1")
        (component,) = [each for each in unhealthy.json()["components"] if each["name"] == "licenses"]
        assert (unhealthy.status_code, component["error"]) == (502, "no license is in force")
    checks.forget()


# --- requests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expired", [True, False])
def test_all_routes_with_and_without_a_licence_in_force(admin: Client, expired: bool) -> None:
    shift = timedelta(days=-1 if expired else 1)
    with licensed(make_license(expires_at=utc_now() + shift)):
        rejected = set()
        for route in api_routes():
            status, code = answered(admin, route)
            rejected |= {route.path} if (status, code) == (403, 11055) else set()
            free = not route.view.licensed or route.method == "DELETE" or not expired
            assert (code != 11055) is free, (route.method, route.path, status, code)
        assert len(rejected) > 50 if expired else not rejected
        assert not rejected & OPEN_ROUTES
        assert {route.path for route in api_routes()} >= OPEN_ROUTES
        features = Client().get("/6/features").json()
        assert features["license"] is not expired
        assert features["estimations"]["liveness"] is not expired


ESTIMATIONS = {
    Feature.LIVENESS: ["/6/sdk?estimate_liveness=1", "/6/liveness", "/6/detector?estimate_liveness=1"],
    Feature.DEEPFAKE: ["/6/sdk?estimate_deepfake=1"],
    Feature.ISO: ["/6/iso", "/6/detector?estimate_face_quality=1"],
    Feature.PEOPLE_COUNT: ["/6/sdk?estimate_people_count=1"],
    Feature.BODY_ATTRIBUTES: [
        f"/6/sdk?detect_body=1&estimate_{name}=1"
        for name in ("upper_body", "lower_body", "body_basic_attributes", "accessories")
    ],
}
POLICIES: dict[Feature, Any] = {
    Feature.LIVENESS: {"detect_policy": {"estimate_liveness": {"estimate": 1}}},
    Feature.DEEPFAKE: {"detect_policy": {"estimate_deepfake": {"estimate": 1}}},
    Feature.ISO: {"detect_policy": {"face_quality": {"estimate": 1}}},
    Feature.PEOPLE_COUNT: {"detect_policy": {"estimate_people_count": 1}},
    Feature.BODY_ATTRIBUTES: {"detect_policy": {"detect_body": 1, "body_attributes": {"estimate_upper_body": 1}}},
    Feature.FACES: STORING,
}


@pytest.mark.parametrize("feature", ESTIMATIONS)
def test_estimations_that_the_licence_excludes(client: Client, feature: Feature) -> None:
    with licensed(make_license({feature: NO})):
        for path in ESTIMATIONS[feature]:
            answer = client.post(path, astronaut(), JPEG)
            assert error_of(answer) == (403, 33002), path
            assert feature.value in answer.json()["detail"]
        assert client.post("/6/sdk?estimate_head_pose=1&estimate_mask=1", astronaut(), JPEG).status_code == 200
        name = {"iso": "face_quality", "people_count": "people_counter"}.get(feature, feature.value)
        assert client.get("/6/features").json()["estimations"][name] is False


def test_policies_that_the_licence_excludes(client: Client, account: Account) -> None:
    handlers = {feature: make_handler(client, policies) for feature, policies in POLICIES.items()}
    address = archive(client)
    for feature, handler in handlers.items():
        with licensed(make_license({feature: NO})):
            assert error_of(client.post(f"{handler}/events", astronaut(), JPEG)) == (403, 33002), feature
            handler_id = handler.rpartition("/")[2]
            assert error_of(create(client, address, {"handler_id": handler_id})) == (403, 33002), feature
            assert error_of(create(client, address, {"policies": POLICIES[feature]})) == (403, 33002), feature
    assert not Face.objects.unscoped().exists()


def test_a_verifier_that_the_licence_excludes(client: Client) -> None:
    policies = {"detect_policy": {"estimate_liveness": {"estimate": 1}}}
    url = client.post("/6/verifiers", {"description": "", "policies": policies}, JSON).json()["url"]
    handler = make_handler(client, {"storage_policy": {"face_policy": {"store_face": 1}}})
    face_id = client.post(f"{handler}/events", astronaut(), JPEG).json()["events"][0]["face"]["face_id"]
    assert client.post(f"{url}/verifications?face_ids={face_id}", astronaut(), JPEG).status_code == 201
    with licensed(make_license({Feature.LIVENESS: NO})):
        answer = client.post(f"{url}/verifications?face_ids={face_id}", astronaut(), JPEG)
        assert error_of(answer) == (403, 33002)


# --- limits ---------------------------------------------------------------------------------------------------


def test_each_picture_with_liveness_is_a_transaction(admin: Client, client: Client) -> None:
    def balance() -> int:
        left: int = admin.get("/1/license").json()["features"]["liveness"]["balance"]
        return left

    with licensed():
        install(liveness=counted(4))
        assert client.post("/6/liveness", astronaut(), JPEG).status_code == 200
        assert balance() == 3
        found = client.post("/6/liveness", pictures(astronaut(), b"broken", nobody())).json()["images"]
        assert [each["liveness"] is None for each in found] == [False, True, True]
        assert balance() == 2  # neither a broken picture nor one without a face
        assert client.post("/6/liveness", nobody(), JPEG).status_code == 400
        assert client.post("/6/sdk?estimate_head_pose=1", astronaut(), JPEG).status_code == 200
        assert balance() == 2
        refused = client.post("/6/sdk?estimate_liveness=1", pictures(*[astronaut()] * 3))
        assert error_of(refused) == (403, 33004)
        assert balance() == 2
        handler = make_handler(client, POLICIES[Feature.LIVENESS])
        assert client.post(f"{handler}/events", pictures(astronaut(), astronaut())).status_code == 201
        assert balance() == 0
        assert error_of(client.post("/6/liveness", astronaut(), JPEG)) == (403, 33004)
        assert client.post("/6/iso", astronaut(), JPEG).status_code == 200


@pytest.mark.django_db(transaction=True)  # the threads of tasks have connections of their own
def test_tasks_consume_transactions_once(admin: Client, client: Client) -> None:
    policies = {**POLICIES[Feature.LIVENESS], "storage_policy": {"face_sample_policy": {"store_sample": 0}}}
    with licensed():
        install(liveness=counted(10))
        task = ended(create(client, archive(client), {"policies": policies}).json()["url"])
        assert task.count_task_parts_done == 3
        assert admin.get("/1/license").json()["features"]["liveness"]["balance"] == 9


def test_faces_over_the_limit(client: Client) -> None:
    with licensed():
        install(faces=counted(10))
        for _ in range(11):
            assert client.post("/6/faces", DESCRIBED, JSON).status_code == 201
        refused = client.post("/6/faces", DESCRIBED, JSON)
        assert error_of(refused) == (403, 33004)
        assert "11 of 10" in refused.json()["detail"]
        bare = client.post("/6/faces", {}, JSON)
        assert bare.status_code == 201
        attribute = {"basic_attributes": {"attributes": {"age": 31, "gender": 0}}}
        face_id = bare.json()["face_id"]
        assert error_of(client.put(f"/6/faces/{face_id}/attributes", attribute, JSON)) == (403, 33004)
        described = FaceAttribute.objects.first().face.face_id
        assert client.put(f"/6/faces/{described}/attributes", attribute, JSON).status_code == 204
        handler = make_handler(client, STORING)
        before = Face.objects.unscoped().count()
        assert error_of(client.post(f"{handler}/events", astronaut(), JPEG)) == (403, 33004)
        assert Face.objects.unscoped().count() == before
    assert client.post("/6/faces", DESCRIBED, JSON).status_code == 201


def test_no_faces_without_the_feature(client: Client) -> None:
    with licensed(make_license({Feature.FACES: NO})):
        assert error_of(client.post("/6/faces", {}, JSON)) == (403, 33002)
        assert client.get("/6/faces").status_code == 200
