"""Settings of the whole platform: services, addresses, pages, limits, times and log."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fetch import RefusedError
from apps.common.times import parse_time
from apps.handlers.pipeline import generate
from apps.handlers.policies import policies_parse
from apps.matching.plugins.router import Plugins
from apps.recognition.inputs.sources import picture_fetch
from tests.factories import client_of
from tests.file_servers import http_server
from tests.unit.live.conftest import Store
from tests.unit.live.table import live

JSON = "application/json"


def refused(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["error_code"]


@pytest.mark.parametrize(
    ("part", "path", "code"),
    [
        ("luna_events", "/6/events", 11040),
        ("luna_handlers", "/6/handlers", 11071),
        ("luna_image_store", f"/6/images/{uuid4()}", 11070),
        ("luna_tasks", "/6/tasks", 11039),
    ],
)
@live(*(f"ADDITIONAL_SERVICES_USAGE.luna_{name}" for name in ("events", "handlers", "image_store", "tasks")))
def test_services(store: Store, account: Account, part: str, path: str, code: int) -> None:
    client = client_of(account)
    assert client.get(path).status_code in (200, 404)
    store("ADDITIONAL_SERVICES_USAGE", **{part: False})
    assert refused(client.get(path)) == (403, code)


@live("ADDITIONAL_SERVICES_USAGE.luna_sender")
def test_sender(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "execute", lambda run, stages: run)
    policies = policies_parse({"storage_policy": {"notification_policy": {"send_notification": 1}}})
    run: Any = SimpleNamespace(policies=policies)
    assert generate.events_recognise(run) is run
    store("ADDITIONAL_SERVICES_USAGE", luna_sender=False)
    with pytest.raises(LunaError) as wrong:
        generate.events_recognise(run)
    assert wrong.value.code == errors.SENDER_DISABLED


@live("ADDITIONAL_SERVICES_USAGE.luna_matcher_proxy")
def test_matching_plugins(store: Store) -> None:
    built_in, active = SimpleNamespace(), SimpleNamespace()
    plugins = Plugins([built_in], [active])  # type: ignore[list-item]
    assert plugins.used() == (built_in, active)
    store("ADDITIONAL_SERVICES_USAGE", luna_matcher_proxy=False)
    assert plugins.used() == (built_in,)


@live("EXTERNAL_LUNA_API_ADDRESS.origin")
def test_the_external_address(store: Store, account: Account) -> None:
    """Links, accepted hosts, and the default of open registration follow it."""
    client = client_of(account)
    new = {"login": "new@luna.test", "password": "correct horse", "account_type": "user"}
    assert Client().post("/6/accounts", new, JSON).status_code == 201
    assert client.get("/version", headers={"Host": "luna.example"}).status_code == 400
    store("EXTERNAL_LUNA_API_ADDRESS", origin="https://luna.example")
    made = client.post("/6/lists", {}, JSON, headers={"Host": "luna.example"}).json()
    assert made["external_url"].startswith("https://luna.example/6/lists/")
    other = Client(headers={"Host": "luna.example"})
    assert other.post("/6/accounts", new | {"login": "another@luna.test"}, JSON).status_code == 403


@live("LUNA_ERROR_LINKS.page")
def test_links_of_errors(store: Store) -> None:
    store("LUNA_ERROR_LINKS", page="https://help.example/errors")
    assert Client().get("/6/faces").json()["link"].startswith("https://help.example/errors#")


@live("LUNA_OUTGOING_REQUESTS.allow_private_urls")
def test_private_addresses(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a picture")
    with http_server(tmp_path) as address:
        with pytest.raises(RefusedError):
            picture_fetch(f"{address}/a.jpg")
        store("LUNA_OUTGOING_REQUESTS", allow_private_urls=True)
        assert picture_fetch(f"{address}/a.jpg").data == b"a picture"


@live("LUNA_PAGING.default_page_size", "LUNA_PAGING.max_page_size")
def test_pages(store: Store, account: Account) -> None:
    client = client_of(account)
    for _ in range(3):
        client.post("/6/lists", {}, JSON)
    assert len(client.get("/6/lists").json()["lists"]) == 3
    store("LUNA_PAGING", default_page_size=1, max_page_size=2)
    assert len(client.get("/6/lists").json()["lists"]) == 1
    assert refused(client.get("/6/lists?page_size=3")) == (400, 12012)


@live("LUNA_QUERY_PARAMETERS.refuse_unknown")
def test_unknown_parameters(store: Store, account: Account) -> None:
    client = client_of(account)
    assert client.get("/6/lists?colour=red").status_code == 200
    store("LUNA_QUERY_PARAMETERS", refuse_unknown=True)
    assert refused(client.get("/6/lists?colour=red")) == (400, 12012)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server is in Japan, 9 hours before UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@live("LUNA_STORAGE_TIME.storage_time")
def test_times_without_an_offset(store: Store, tokyo: None) -> None:
    assert parse_time("2026-05-01T12:00:00") == datetime(2026, 5, 1, 12, tzinfo=UTC)
    store("LUNA_STORAGE_TIME", storage_time="LOCAL")
    assert parse_time("2026-05-01T12:00:00") == datetime(2026, 5, 1, 3, tzinfo=UTC)


REFERENCE = {"type": "face", "id": str(uuid4())}
CANDIDATES: dict[str, Any] = {"filters": {"origin": "faces"}}


@pytest.mark.parametrize(
    ("limit", "body"),
    [
        ("reference_limit", {"references": [REFERENCE] * 2}),
        ("candidate_limit", {"candidates": [CANDIDATES] * 2}),
        ("result_candidate_limit", {"candidates": [{**CANDIDATES, "limit": 2}]}),
        ("array_filter_limit", {"candidates": [{"filters": {"origin": "faces", "face_ids": [REFERENCE["id"]] * 2}}]}),
    ],
)
@live(
    *(f"PLATFORM_LIMITS.match.{name}_limit" for name in ("reference", "candidate", "result_candidate", "array_filter"))
)
def test_limits_of_matching(store: Store, account: Account, limit: str, body: dict[str, Any]) -> None:
    client, body = client_of(account), {"references": [REFERENCE], "candidates": [CANDIDATES], **body}
    before = client.post("/6/matcher/faces", body, JSON).json()
    store("PLATFORM_LIMITS", match={limit: 1})
    after = client.post("/6/matcher/faces", body, JSON).json()
    assert before["error_code"] == errors.FACE_NOT_FOUND
    assert after["error_code"] in (errors.TOO_MANY_REFERENCES, errors.INVALID_JSON)
    assert "1" in after["detail"]


Lines = Callable[[], str]


@pytest.fixture
def lines(kept: None, capsys: pytest.CaptureFixture[str]) -> Lines:
    """Log an information and an exception. Return what the console shows."""

    def written() -> str:
        capsys.readouterr()
        logger = logging.getLogger("apps.test")
        logger.info("an information")
        try:
            raise RuntimeError("deep")
        except RuntimeError:
            logger.exception("a failure")
        return "".join(capsys.readouterr())

    return written


@live("LUNA_API_LOGGER.log_level")
def test_log_level(store: Store, lines: Lines) -> None:
    store("LUNA_API_LOGGER", log_level="ERROR")
    assert "an information" not in lines()
    store("LUNA_API_LOGGER", log_level="DEBUG")
    assert "an information" in lines()


@live("LUNA_API_LOGGER.log_time")
def test_log_time(store: Store, lines: Lines, tokyo: None) -> None:
    def hour() -> str:
        return lines().split(":")[0][-2:]

    store("LUNA_API_LOGGER", log_time="UTC")
    in_utc = hour()
    store("LUNA_API_LOGGER", log_time="LOCAL", log_level="DEBUG")
    assert in_utc != hour()


@live("LUNA_API_LOGGER.format", "LUNA_API_LOGGER.multiline_stack_trace")
def test_log_format(store: Store, lines: Lines) -> None:
    store("LUNA_API_LOGGER", multiline_stack_trace=False)
    assert len(lines().splitlines()) == 2
    store("LUNA_API_LOGGER", multiline_stack_trace=True, log_level="DEBUG")
    assert len(lines().splitlines()) > 4
    store("LUNA_API_LOGGER", format="json")
    assert json.loads(lines().splitlines()[0])["message"] == "an information"


@live(
    *(f"LUNA_API_LOGGER.{name}" for name in ("log_to_stdout", "log_to_file", "folder_with_logs", "max_log_file_size"))
)
def test_log_files(store: Store, lines: Lines, tmp_path: Path) -> None:
    store(
        "LUNA_API_LOGGER",
        log_to_stdout=False,
        log_to_file=True,
        folder_with_logs=str(tmp_path / "logs"),
        max_log_file_size=7,
    )
    assert lines() == ""
    texts = [path.read_text() for path in (tmp_path / "logs").glob("*_INFO.txt")]
    assert any("an information" in text for text in texts)
    files = [each for each in logging.getLogger().handlers if hasattr(each, "maxBytes")]
    assert {each.maxBytes for each in files} == {7 * 1024**2}
