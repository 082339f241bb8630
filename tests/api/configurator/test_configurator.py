"""The Configurator's resources below `/1`."""

import json
import socket
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import AuditRecord
from apps.configurator.models import Change, Setting
from tests.factories import basic_client, header_client, make_account

pytestmark = pytest.mark.django_db
JSON = "application/json"
PAGING = "LUNA_PAGING"
QUEUE = {
    "validation_schema": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}},
    "services": ["queues"],
    "default_value": {"key": "detector"},
}


@pytest.fixture
def client() -> Client:
    return basic_client(make_account(AccountType.ADMIN))


def code(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["error_code"]


def default_of(client: Client, name: str) -> dict[str, Any]:
    [found] = client.get("/1/settings", {"name": name, "default": "1"}).json()
    assert isinstance(found, dict)
    return found


def tagged(**changes: Any) -> dict[str, Any]:
    return {"name": PAGING, "value": {"default_page_size": 20}, "tags": ["desk"], **changes}


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_only_administrators_with_a_password(account_header: None) -> None:
    assert code(Client().get("/1/settings")) == (401, 15014)
    assert code(Client(headers={"Authorization": "Basic eDp5"}).get("/1/dump")) == (401, 15014)
    assert code(basic_client(make_account(AccountType.ADVANCED_USER)).get("/1/settings")) == (403, 15015)
    assert code(header_client(make_account(AccountType.ADMIN)).get("/1/settings")) == (403, 12010)


def test_a_default_setting_is_replaced(client: Client) -> None:
    setting = default_of(client, PAGING)
    assert setting["value"] == {"default_page_size": 10, "max_page_size": 1000}
    assert (setting["tags"], setting["is_default"]) == ([], True)
    path = f"/1/settings/{setting['id']}"
    value = {"default_page_size": 20, "max_page_size": 1000}
    assert client.put(path, {"name": PAGING, "value": value}, JSON).status_code == 204
    assert client.get(path).json()["value"] == value
    assert code(client.put(path, {"name": PAGING, "value": value, "tags": ["a"]}, JSON)) == (400, 27004)
    assert code(client.put(path, {"name": "S3", "value": {}}, JSON)) == (400, 27012)
    assert code(client.delete(path)) == (400, 27011)
    wrong = client.put(path, {"name": PAGING, "value": {"default_page_size": "ten"}}, JSON)
    assert code(wrong) == (400, 12027)
    assert "LUNA_PAGING > default_page_size must be a whole number" in wrong.json()["detail"]
    assert code(client.get("/1/settings/999999999999999999999")) == (404, 27001)


def test_tagged_settings_and_the_puller(client: Client) -> None:
    created = client.post("/1/settings", tagged(), JSON)
    assert created.status_code == 201
    assert created.headers["Location"].endswith(f"/1/settings/{created.json()['id']}")
    assert code(client.post("/1/settings", tagged(), JSON)) == (409, 27002)
    assert code(client.post("/1/settings", tagged(name="NO"), JSON)) == (404, 27006)
    for tags in ([], ["a", "a"], ["a=b"], ["x" * 129], "a"):
        assert code(client.post("/1/settings", tagged(tags=tags), JSON)) == (400, 12027), tags
    assert [each["tags"] for each in client.get("/1/settings", {"tags": "desk"}).json()] == [["desk"]]
    pulled = client.post("/1/settings/luna", {"tags": {PAGING: "desk"}}, JSON).json()
    assert [each["value"]["default_page_size"] for each in pulled if each["name"] == PAGING] == [20]
    assert code(client.post("/1/settings/luna", {"tags": {PAGING: "no"}}, JSON)) == (400, 27005)
    assert code(client.post("/1/settings/luna-no", {}, JSON)) == (404, 11035)
    handlers = client.post("/1/settings/luna-handlers", {}, JSON).json()
    assert {"LUNA_HANDLERS_LIMITS", "ATTRIBUTES_STORAGE_POLICY"} <= {each["name"] for each in handlers}
    assert client.delete(f"/1/settings/{created.json()['id']}").status_code == 204
    assert AuditRecord.objects.filter(object_type="setting").values_list("action", flat=True).count() == 2


def test_connections_are_checked(client: Client, listening: int) -> None:
    setting = default_of(client, "S3")
    path, away = f"/1/settings/{setting['id']}", "http://127.0.0.1:1"
    for host, expected in ((f"http://127.0.0.1:{listening}", 204), (away, 400)):
        value = {"bucket": "samples", "host": host}
        answer = client.put(f"{path}?check=1", {"name": "S3", "value": value}, JSON)
        assert answer.status_code == expected, answer.content
    assert answer.json()["error_code"] == 27003
    assert client.get(path).json()["value"]["host"] == f"http://127.0.0.1:{listening}"
    checked = client.post("/1/settings/check", {"name": "S3", "value": {"bucket": "samples", "host": away}}, JSON)
    assert code(checked) == (400, 27003)
    assert client.post("/1/settings/check", {"name": PAGING, "value": {}}, JSON).json() == {
        "result": "success",
        "connections": 0,
    }


def test_limitations(client: Client) -> None:
    path = "/1/settings/limitations/DETECTOR_QUEUE"
    assert "Path: 'limitation_name'" in client.put(f"{path}{'X' * 128}", QUEUE, JSON).json()["detail"]
    assert client.put(path, QUEUE, JSON).status_code == 201
    assert code(client.put(path, QUEUE, JSON)) == (409, 27007)
    assert default_of(client, "DETECTOR_QUEUE")["value"] == {"key": "detector"}
    assert "queues" in client.get("/1/settings/services").json()
    assert [each["limitation_name"] for each in client.get("/1/settings/limitations?services=queues").json()] == [
        "DETECTOR_QUEUE"
    ]
    assert client.patch(path, {"description": "q", "services": ["other"]}, JSON).status_code == 204
    assert client.get(path).json() == {
        **QUEUE,
        "limitation_name": "DETECTOR_QUEUE",
        "description": "q",
        "services": ["other"],
    }
    assert code(client.patch(path, {"limitation_name": PAGING}, JSON)) == (409, 27007)
    assert code(client.patch(path, {"groups": ["no"]}, JSON)) == (400, 27009)
    assert code(client.patch(path, {"validation_schema": {"type": "array"}}, JSON)) == (400, 12027)
    assert code(client.put(path + "2", {**QUEUE, "default_value": {}}, JSON)) == (400, 12027)
    ours = client.get(f"/1/settings/limitations/{PAGING}").json()
    assert ours["validation_schema"]["scope"] == "live"
    for answer in (
        client.patch(f"/1/settings/limitations/{PAGING}", {}, JSON),
        client.delete(f"/1/settings/limitations/{PAGING}"),
    ):
        assert code(answer) == (403, 12033)
    assert client.delete(path).status_code == 204
    assert code(client.get(path)) == (404, 27006)


def test_groups(client: Client) -> None:
    body = {"group_name": "desk", "description": "d", "limitations": [PAGING]}
    assert client.post("/1/settings/groups", body, JSON).json() == body
    assert code(client.post("/1/settings/groups", body, JSON)) == (409, 27010)
    assert code(client.get("/1/settings/groups/no")) == (404, 27008)
    link = {"action": "link", "groups": ["desk"], "limitations": ["S3"]}
    assert client.patch("/1/settings/groups", link, JSON).status_code == 204
    assert client.get("/1/settings/groups", {"limitations": "S3"}).json() == [body | {"limitations": [PAGING, "S3"]}]
    assert {each["name"] for each in client.get("/1/settings", {"groups": "desk"}).json()} == {PAGING, "S3"}
    assert code(client.patch("/1/settings/groups", link | {"groups": ["desk", "no"]}, JSON)) == (404, 27009)
    assert code(client.patch("/1/settings/groups/desk", {"limitations": ["NO"]}, JSON)) == (404, 27006)
    assert client.patch("/1/settings/groups/desk", {"description": "e"}, JSON).status_code == 204
    assert client.delete("/1/settings/groups/desk").status_code == 204
    assert client.get("/1/settings/groups").json() == []


def test_a_value_that_hides_secrets_or_breaks_the_database_is_refused(client: Client) -> None:
    for name, value in (
        ("LUNA_SERVICES", {"database_url": "postgresql://a:b@elsewhere/luna"}),
        ("LUNA_CALLBACKS", {"signing_secret": "hidden"}),
        ("LUNA_ADMINISTRATOR", {"password": "hidden"}),
    ):
        setting = default_of(client, name)
        assert "secret" not in json.dumps(setting["value"]).replace("secret_key", "secret")
        answer = client.put(f"/1/settings/{setting['id']}", {"name": name, "value": value}, JSON)
        assert code(answer) == (400, 12027)
        assert "hidden" not in answer.json()["detail"]
    assert Setting.objects.exclude(value={}).count() == 0


def filled(client: Client) -> dict[str, Any]:
    """Return a dump with a setting of each kind."""
    setting = default_of(client, PAGING)
    client.put(f"/1/settings/{setting['id']}", {"name": PAGING, "value": {"max_page_size": 50}}, JSON)
    client.post("/1/settings", tagged(), JSON)
    client.put("/1/settings/limitations/DETECTOR_QUEUE", QUEUE, JSON)
    client.post("/1/settings/groups", {"group_name": "desk", "limitations": ["DETECTOR_QUEUE", PAGING]}, JSON)
    dumped = client.get("/1/dump").json()
    assert isinstance(dumped, dict)
    return dumped


def loaded(file: Path, content: Any) -> str:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    out = StringIO()
    call_command("settings_load", str(file), stdout=out)
    return out.getvalue()


def without_times(dumped: dict[str, Any]) -> dict[str, Any]:
    settings = [{**each, "id": 0, "create_time": "", "last_update_time": ""} for each in dumped["settings"]]
    return {**dumped, "settings": settings}


def test_a_dump_restores_everything_and_may_be_loaded_twice(client: Client, tmp_path: Path) -> None:
    dumped = filled(client)
    client.delete("/1/settings/limitations/DETECTOR_QUEUE")
    client.delete("/1/settings/groups/desk")
    call_command("settings_reset", PAGING, stdout=StringIO())
    assert default_of(client, PAGING)["value"]["max_page_size"] == 1000
    for _ in range(2):
        assert "1 limitations of other software and 1 groups" in loaded(tmp_path / "dump.json", dumped)
        assert without_times(client.get("/1/dump").json()) == without_times(dumped)
    count, before = Change.objects.count(), client.get("/1/dump").json()["settings"]
    loaded(tmp_path / "dump.json", dumped)
    assert Change.objects.count() == count
    assert client.get("/1/dump").json()["settings"] == before, "also their times"


def test_bad_dumps_change_nothing(client: Client, tmp_path: Path) -> None:
    dumped, file = filled(client), tmp_path / "dump.json"
    other = {"name": "LUNA_LOGINS", "value": {"failed_logins": 5, "removed_in_this_version": 1}}
    good = {"name": PAGING, "value": {"max_page_size": 70}}
    bad: list[tuple[Any, str]] = [
        (json.dumps(dumped)[:-20], "is not JSON"),
        ([], "A dump is an object"),
        ({"settings": {}}, "must be a list"),
        ({"settings": [], "extra": 1}, "has no 'extra'"),
        ({"settings": [good, other]}, r"settings\[1\]: .*removed_in_this_version is not a setting"),
        ({"settings": [good, {"name": "NOBODYS", "value": 1}]}, 'Limitation named "NOBODYS" not found'),
        ({"settings": [good, {"value": 1}, 5]}, r"settings\[1\] is no such object"),
        ({"settings": [good, {"name": PAGING, "value": {}, "tags": "desk"}]}, r"settings\[1\]"),
        ({"limitations": [{"limitation_name": "B", "validation_schema": 5, "default_value": 1}]}, "validation_schema"),
        ({"groups": [{"group_name": "x" * 200}]}, "at most 128 characters"),
        ({"groups": [{"group_name": "x", "limitations": ["NOBODYS"]}]}, "NOBODYS"),
        ({"groups": [{"group_name": "x", "limitations": 5}]}, "must be a list"),
        ({"groups": [{"group_name": "x", "limitations": [["y"]]}]}, r"groups\[0\] is no such object"),
        ({"groups": [{"group_name": "x/y"}]}, "must not have `/`"),
        ({"groups": [{"group_name": ".."}]}, r"groups\[0\]"),
        ({"settings": [good, {"name": PAGING, "value": {}, "tags": ["a", "a"]}]}, "must be different"),
    ]
    for content, reason in bad:
        before = without_times(client.get("/1/dump").json())
        with pytest.raises(CommandError, match=reason):
            loaded(file, content)
        assert without_times(client.get("/1/dump").json()) == before


def test_settings_of_luna_platform_are_skipped_and_named(client: Client, tmp_path: Path) -> None:
    """A dump of another product with our names: what corresponds is loaded, the rest is named."""
    content = {
        "limitations": [{"limitation_name": "LUNA_FACES_DB", "validation_schema": {}, "default_value": {}}],
        "settings": [
            {"name": "LUNA_FACES_DB", "value": {"db_password": "luna"}, "tags": []},
            {"name": "LUNA_REMOTE_SDK_ACTIVE_PLUGINS", "value": ["plugin_1"], "description": "", "tags": []},
            {"name": "ATTRIBUTES_STORAGE_POLICY", "value": {"default_ttl": 60, "max_ttl": 600}, "tags": []},
            {"name": "INFLUX_MONITORING", "value": {"host": "influx", "token": "hidden"}, "tags": []},
            {
                "name": "LUNA_REMOTE_SDK_FACE_DETECTOR_SETTINGS",
                "value": {
                    "runtime_settings": {"device_class": "gpu", "num_threads": 4},
                    "estimator_settings": {"min_face_size": 40, "redetect_tensor_size": 80},
                },
                "tags": [],
            },
        ],
    }
    printed = loaded(tmp_path / "dump.json", content)
    assert "Loaded 3 settings" in printed
    assert "INFLUX_MONITORING > token" in printed
    assert "LUNA_REMOTE_SDK_FACE_DETECTOR_SETTINGS > estimator_settings > redetect_tensor_size" in printed
    assert "hidden" not in printed
    assert default_of(client, "INFLUX_MONITORING")["value"]["host"] == "influx"
    faces = default_of(client, "LUNA_REMOTE_SDK_FACE_DETECTOR_SETTINGS")["value"]
    assert faces["estimator_settings"]["min_face_size"] == 40
    typing_error = {"settings": [{"name": "INFLUX_MONITORING", "value": {"tokens": "hidden"}, "tags": []}]}
    with pytest.raises(CommandError, match="tokens is not a setting"):
        loaded(tmp_path / "wrong.json", typing_error)
    assert "LUNA_FACES_DB, LUNA_REMOTE_SDK_ACTIVE_PLUGINS" in printed
    assert default_of(client, "ATTRIBUTES_STORAGE_POLICY")["value"] == {"default_ttl": 60, "max_ttl": 600}


def test_limitation_files(client: Client, tmp_path: Path) -> None:
    client.put("/1/settings/limitations/DETECTOR_QUEUE", QUEUE, JSON)
    call_command("settings_limitations", "--service", "queues", "--output", str(tmp_path), stdout=StringIO())
    [file] = tmp_path.glob("*_limitation.json")
    client.delete("/1/settings/limitations/DETECTOR_QUEUE")
    loaded(tmp_path / "copy.json", file.read_text())
    assert default_of(client, "DETECTOR_QUEUE")["value"] == {"key": "detector"}
    with pytest.raises(CommandError, match="Service name luna-no not found"):
        call_command("settings_limitations", "--service", "luna-no")
    call_command("settings_dump", "--file", str(tmp_path / "all.json"))
    assert json.loads((tmp_path / "all.json").read_text())["settings"]
