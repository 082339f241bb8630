"""The access log: one line per request, with nothing that a client sent beside its method."""

import asyncio
import http.client
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import Client

from apps.accounts.choices import AccountType
from apps.common.logs import JSONFormatter, RequestIdFilter
from apps.common.request_id import PATTERN
from luna.http.access import LoggedWebsockets, template
from tests.factories import make_account
from tests.platform import Caller, platform

SECRET = "do-not-log-me"


class Lines(logging.Handler):
    """Collects the lines of a logger as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(RequestIdFilter())
        self.setFormatter(JSONFormatter())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    @property
    def found(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]


@contextmanager
def listening(name: str) -> Iterator[Lines]:
    logger, lines = logging.getLogger(name), Lines()
    logger.addHandler(lines)
    try:
        yield lines
    finally:
        logger.removeHandler(lines)


@pytest.mark.django_db(transaction=True)
def test_a_request_leaves_one_line_without_what_the_client_sent() -> None:
    account = make_account()
    with listening("luna.access") as lines, platform(threads=1) as port:
        caller = Caller(port, account.login)
        caller.ask("GET", f"/6/faces?user_data={SECRET}")
        caller.ask("GET", "/6/faces/7a7a7a7a-7a7a-4a7a-8a7a-7a7a7a7a7a7a")
        caller.ask("POST", "/6/lists", {"user_data": SECRET})
        caller.ask("GET", f"/{SECRET}?{SECRET}")
        caller.ask("GET", "/version")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/6/faces", headers={"Content-Length": "2000000000"})
        request_id = connection.getresponse().headers["Luna-Request-Id"]
    key = str(account.account_id)
    assert [(each["method"], each["route"], each["status"], each["account_id"]) for each in lines.found] == [
        ("GET", "/6/faces", 200, key),
        ("GET", "/6/faces/{face_id}", 404, key),
        ("POST", "/6/lists", 201, key),
        ("GET", "-", 404, None),
        ("GET", "/version", 200, None),
        ("POST", "/6/faces", 413, None),
    ]
    assert all(PATTERN.fullmatch(each["request_id"]) and 0 < each["ms"] < 60_000 for each in lines.found)
    assert lines.found[-1]["request_id"] == request_id
    assert SECRET not in "".join(lines.texts)


def test_a_websocket_leaves_one_line() -> None:
    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["luna.notes"]["luna.account"] = "an-account"
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    async def nothing(*_: Any) -> None:
        return None

    with listening("luna.access") as lines:
        for path in ("/6/ws", f"/{SECRET}"):
            scope = {"path": path, "headers": []}
            asyncio.run(LoggedWebsockets(application, routes={"/6/ws"})(scope, nothing, nothing))
    assert [(each["method"], each["route"], each["status"]) for each in lines.found] == [
        ("WS", "/6/ws", 101),
        ("WS", "-", 101),
    ]
    assert lines.found[0]["account_id"] == "an-account"
    assert SECRET not in "".join(lines.texts)


def test_routes_are_shown_as_in_the_api_document() -> None:
    assert template("6/faces/<str:face_id>/attributes") == "/6/faces/{face_id}/attributes"
    assert template("6/lists") == "/6/lists"


@pytest.mark.django_db
def test_an_exception_of_a_page_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken page")

    client = Client(raise_request_exception=False)
    client.force_login(make_account(AccountType.ADMIN))
    monkeypatch.setattr("apps.accounts.admin.AccountAdmin.get_queryset", crash)
    with listening("django.request") as lines:
        assert client.get("/admin/accounts/account/").status_code == 500
        assert client.get("/admin/nowhere/").status_code == 404
    (line,) = lines.found
    assert (line["level"], "broken page" in line["exception"]) == ("ERROR", True)


def test_a_line_is_one_json_object() -> None:
    record = logging.LogRecord("luna", logging.INFO, "", 1, 'a "quoted"\nline %s', (b"x",), None)
    record.fields = {"status": 200}
    text = JSONFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["status"]) == ("INFO", "luna", 200)
    assert line["message"] == "a \"quoted\"\nline b'x'"
    assert line["time"].endswith("+00:00")
