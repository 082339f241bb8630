"""/version, /healthcheck, /docs/spec, and responses to unknown paths."""

import threading
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from botocore.exceptions import EndpointConnectionError
from django.conf import settings as django_settings
from django.contrib.staticfiles import finders
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

import luna
from apps.common import errors
from apps.common.config import Http, Images
from apps.common.errors import LunaError
from apps.common.redis_client import breaker
from apps.common.request_id import PATTERN
from apps.monitoring import health
from apps.monitoring.health import checks
from apps.monitoring.processes import publish
from apps.recognition.engine.errors import EngineError
from luna.urls import docs
from tests.api.helpers import processes_run, refused
from tests.factories import basic_client, make_account

pytestmark = pytest.mark.django_db
OURS = "1536751345,8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a"


@pytest.mark.parametrize("path", ["/version", "/6/version"])
def test_version(path: str) -> None:
    answer = Client(headers={"Authorization": "Basic d3Jvbmc6d3Jvbmc="}).get(path).json()
    assert answer["LUNA PLATFORM"] == {"major": 5, "minor": 67, "patch": 0}
    services = {"luna-api": 6, "luna-admin": 4, "luna-configurator": 1, "luna-licenses": 1}
    for name, api in services.items():
        assert answer[name] == {"api": api, "major": 5, "minor": 67, "patch": 0}


@pytest.mark.parametrize("path", ["/version", "/healthcheck", "/6/features", "/nowhere", "/docs/spec", "/admin/login/"])
def test_anonymous_clients_do_not_learn_what_runs(path: str) -> None:
    """Neither Luna's own version nor those of its parts: they show known faults."""
    answer = Client().get(path)
    shown = str(answer.headers) + answer.content.decode(errors="replace")
    for name in (f"Luna {luna.__version__}", "Luna/", "Django/", "uvicorn/", "Python/"):
        assert name not in shown
    if path == "/version":
        found = {".".join(str(each[key]) for key in ("major", "minor", "patch")) for each in answer.json().values()}
        assert found == {"5.67.0"} != {luna.__version__}


def test_one_version_everywhere() -> None:
    pyproject = tomllib.loads((Path(django_settings.BASE_DIR) / "pyproject.toml").read_text())
    assert pyproject["project"]["dynamic"] == ["version"]
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "luna.__version__"}
    assert luna.__version__ == django_settings.LUNA_VERSION


@pytest.mark.parametrize("path", ["/healthcheck", "/6/healthcheck"])
def test_healthy(path: str) -> None:
    body = Client().get(path).json()
    assert 0 < body["execution_time"] < 60
    assert [(each["name"], each["status"]) for each in body["components"]] == [("database", "ok"), ("redis", "ok")]


def test_unhealthy_component_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def disk() -> None:
        raise OSError("no space left on /srv/luna\nsecond line")

    monkeypatch.setattr(checks, "_checks", dict(checks._checks))
    checks.register("disk", disk, reason="no space left")
    processes_run()
    assert Client().get("/healthcheck").status_code == 200
    answer = Client().get("/healthcheck", {"include_luna_services": 1})
    body = answer.json()
    assert (answer.status_code, body["error_code"], body["detail"]) == (502, 38001, "disk: no space left")
    assert {each["name"]: each["error"] for each in body["components"]}["disk"] == "no space left"
    assert {each["name"]: each["status"] for each in body["components"]}["database"] == "ok"


SECRET = "postgresql://luna:secret@db.example.com:5432/luna; /srv/luna/image-store"
EXCEPTIONS = [
    OperationalError(f"connection failed: {SECRET}"),
    redis.exceptions.ConnectionError(f"Error connecting to {SECRET}"),
    FileNotFoundError(2, "No such file or directory", SECRET),
    EndpointConnectionError(endpoint_url=SECRET),
    EngineError(f"no answer of the inference server {SECRET}"),
    LunaError(errors.INTERNAL_ERROR, SECRET),
]


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
def test_clients_read_a_fixed_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Connection strings, host names and paths are for the log only."""

    def failing() -> None:
        raise error

    registered = {name: (failing, reason, core) for name, (_, reason, core) in checks._checks.items()}
    monkeypatch.setattr(checks, "_checks", registered)
    answer = Client().get("/healthcheck", {"include_luna_services": 1})
    shown = answer.content.decode() + str(answer.headers)
    assert answer.status_code == 502
    for secret in ("secret", "example.com", "/srv"):
        assert secret not in shown
    reasons = {name: reason for name, (_, reason, _) in registered.items()}
    assert {each["name"]: each["error"] for each in answer.json()["components"]} == reasons
    assert SECRET in caplog.text


def test_redis_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise redis.exceptions.ConnectionError("gone")

    monkeypatch.setattr(redis.Redis, "execute_command", gone)
    body = Client().get("/healthcheck").json()
    breaker.close()
    assert body["error_code"] == 38001
    assert body["detail"] == "redis: Redis disconnected"


def test_a_component_that_hangs_is_named_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like PostgreSQL that is stopped: every answer comes in time, and one thread waits."""
    calls, released = [], threading.Event()

    def hang() -> None:
        calls.append(1)
        released.wait(60)

    monkeypatch.setattr(checks, "_checks", dict(checks._checks))
    monkeypatch.setattr(health, "PATIENCE_S", 0.3)
    checks.register("disk", hang, reason="hangs", core=True)
    try:
        for _ in range(3):
            body = Client().get("/healthcheck").json()
            assert body["error_code"] == 38001
            assert body["detail"].startswith("disk: no answer within ")
            assert {each["name"]: each["status"] for each in body["components"]}["database"] == "ok"
        assert calls == [1]
    finally:
        released.set()
    end = time.monotonic() + 20
    while Client().get("/healthcheck").status_code != 200:
        assert time.monotonic() < end


def test_a_healthy_component_is_not_asked_by_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(checks, "_checks", {})
    checks.register("disk", lambda: calls.append(1), reason="gone", core=True)
    for _ in range(5):
        assert Client().get("/healthcheck").status_code == 200
    assert len(calls) == 1


def test_bad_flag() -> None:
    assert "include_luna_services" in refused(Client().get("/healthcheck?include_luna_services=5"), 400, 12012)


def test_features() -> None:
    found = Client().get("/6/features").json()
    assert found["license"] is True
    assert set(found["estimations"]) == {"people_counter", "face_quality", "body_attributes", "liveness", "deepfake"}
    assert {found["components"][name] for name in ("faces", "events", "sender", "handlers", "image_store")} == {True}
    assert found["components"]["lambdas"] is False


@pytest.mark.parametrize("accept", ["", "application/x-yaml", "*/*", "image/png"])
def test_document(accept: str) -> None:
    answer = Client(headers={"Accept": accept} if accept else {}).get("/docs/spec")
    assert answer.status_code == 200
    document = yaml.load(answer.content, yaml.CSafeLoader)
    assert document["openapi"].startswith("3.")
    assert "/6/account" in document["paths"]
    schemes = {"AdminAuth", "BasicAuth", "BearerAuth", "LunaAccountIdAuth"}
    assert set(document["components"]["securitySchemes"]) == schemes


def test_document_in_json() -> None:
    answer = Client(headers={"Accept": "application/json"}).get("/docs/spec")
    assert "/6/account" in answer.json()["paths"]


def test_page_needs_nothing_from_elsewhere() -> None:
    answer = Client(headers={"Accept": "text/html,application/xhtml+xml"}).get("/docs/spec")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "swagger" in page.lower()
    assert "//" not in page.replace("// ", "").replace("http://www.w3.org", ""), "no foreign address"
    assets = [part.split('"')[0] for part in page.split('"/static/')[1:]]
    assert len(assets) >= 3
    assert all(finders.find(each) for each in assets)


@pytest.mark.parametrize(
    "path", ["/5", "/6", "/6/", "/6/nowhere", "/6/tokens/", "/6/account/", "/5/faces", "/6//account", "/%00", "/6/ü"]
)
def test_unknown_path(path: str) -> None:
    answer = Client().get(path)
    refused(answer, 404, 12013)
    assert PATTERN.fullmatch(answer.headers["Luna-Request-Id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("delete", "/6/accounts"), ("options", "/6/account"), ("post", "/version"), ("trace", "/6/tokens")],
)
def test_wrong_method(method: str, path: str) -> None:
    """A wrong method is rejected before authentication."""
    answer = getattr(Client(), method)(path)
    refused(answer, 405, 12021)
    assert "GET" in answer.headers["Allow"] or "POST" in answer.headers["Allow"]
    assert method.upper() not in answer.headers["Allow"]


def test_head_has_no_body() -> None:
    client = basic_client(make_account())
    for path, status in (("/6/account", 200), ("/6/tokens/7", 404), ("/healthcheck", 200)):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (OURS, True),
        (OURS.upper(), False),
        (f"{OURS}\r\nSet-Cookie: a=b", False),
        (f"{OURS} ", False),
        (f"{OURS}\n", False),
        ("1," + OURS.partition(",")[2], False),
        ("x" * 100_000, False),
        ("", False),
        (None, False),
    ],
)
def test_request_id(sent: str | None, kept: bool) -> None:
    headers: dict[str, Any] = {} if sent is None else {"Luna-Request-Id": sent}
    for path in ("/version", "/6/nowhere", "/6/account"):
        given = Client(headers=headers).get(path).headers["Luna-Request-Id"]
        assert PATTERN.fullmatch(given)
        assert (given == sent) is kept


def test_crash_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise RuntimeError("secret path")

    monkeypatch.setattr("apps.monitoring.api.views.versions", crash)
    answer = Client(raise_request_exception=False).get("/version")
    refused(answer, 500, 1)
    assert "secret" not in answer.content.decode()
    assert PATTERN.fullmatch(answer.headers["Luna-Request-Id"])


def test_too_large_is_refused_unread(configure: Callable[..., None]) -> None:
    configure(Http, request_max_size=1000)
    refused(Client().post("/6/accounts", b"{" + b" " * 1000, "application/json"), 413, 37003)


def test_all_services() -> None:
    processes_run()
    answer = Client().get("/healthcheck", {"include_luna_services": 1})
    assert answer.status_code == 200, answer.json()
    assert {each["name"] for each in answer.json()["components"]} >= {
        "database", "redis", "image_store", "recognition", "licenses", "worker", "beat",
    }  # fmt: skip


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_process_that_does_not_run(role: str) -> None:
    publish({"worker": "beat", "beat": "worker"}[role])
    assert Client().get("/healthcheck").status_code == 200
    answer = Client().get("/healthcheck", {"include_luna_services": 1})
    assert answer.status_code == 502
    failed = [each for each in answer.json()["components"] if each["status"] == "failed"]
    assert [(each["name"], each["error"].partition(" runs: ")[0]) for each in failed] == [
        (role, {"worker": "no worker", "beat": "no scheduler"}[role])
    ]
    publish(role)
    assert Client().get("/healthcheck", {"include_luna_services": 1}).status_code == 200


def test_image_store_that_takes_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    options = {"BACKEND": "apps.imagestore.storage.DiskStorage", "OPTIONS": {"location": str(tmp_path / "file")}}
    settings.STORAGES = {**settings.STORAGES, "default": options}
    processes_run()
    answer = Client().get("/healthcheck", {"include_luna_services": 1})
    assert answer.status_code == 502
    assert answer.json()["detail"].startswith("image_store: ")


def test_document_is_only_read() -> None:
    answer = Client().post("/docs/spec")
    refused(answer, 405, 12021)
    assert answer.headers["Allow"] == "GET, HEAD"
    assert Client().head("/docs/spec").status_code == 200


def test_features_show_the_limits_that_errors_name(configure: Callable[..., None]) -> None:
    configure(Http, request_max_size=5000, json_max_size=300)
    configure(Images, max_bytes=900)
    limits = Client().get("/6/features").json()["limits"]
    assert (limits["max_body_bytes"], limits["max_json_bytes"], limits["max_image_bytes"]) == (5000, 300, 900)
    assert limits["max_page_size"] == 1000
    client = basic_client(make_account())
    for path, body, media_type, words in (
        ("/6/lists", b" " * 5001, "application/json", "the body exceeds 5000 bytes (`LUNA_MAX_REQUEST_BYTES`)"),
        ("/6/lists", b" " * 301, "application/json", "exceeds 300 bytes (`LUNA_MAX_JSON_BYTES`)"),
        ("/6/images", b" " * 901, "image/jpeg", "the image exceeds 900 bytes (`LUNA_MAX_IMAGE_BYTES`)"),
        ("/6/detector", b" " * 901, "image/jpeg", "the image exceeds 900 bytes (`LUNA_MAX_IMAGE_BYTES`)"),
    ):
        assert words in refused(client.post(path, body, media_type), 413, 37003)


def test_one_thread_generates_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator is not thread-safe: concurrent first requests were answered with 500."""
    running = threading.Lock()
    generated: list[int] = []

    class Generator:
        def get_schema(self, **_: object) -> dict[str, object]:
            assert running.acquire(blocking=False)
            time.sleep(0.02)
            generated.append(1)
            running.release()
            return {}

    monkeypatch.setattr(docs, "SchemaGenerator", Generator)
    docs._document.cache_clear()
    try:
        with ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(docs.document, [docs.JSON] * 8))
    finally:
        docs._document.cache_clear()
    assert len(generated) == 1
    assert len(set(texts)) == 1
