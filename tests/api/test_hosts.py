"""Requests that name a foreign host are rejected before anything else reads them."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from pytest_django import Settings

from apps.common.errors import LunaError
from apps.common.hosts import LOOPBACK_HOSTS, is_listed, is_loopback
from luna.embedded.addresses import CHECKOUT
from luna.http.check import check_request
from tests.api.helpers import environ, refused
from tests.factories import basic_client, make_account


@pytest.fixture
def on_loopback(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = [*LOOPBACK_HOSTS]


@pytest.mark.django_db
@pytest.mark.usefixtures("on_loopback")
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.7", "@", "a b"],
)
@pytest.mark.parametrize("path", ["/6/account", "/version", "/healthcheck", "/docs/spec", "/admin/login/", "/nowhere"])
def test_a_foreign_host_is_refused(host: str, path: str) -> None:
    answer = basic_client(make_account()).get(path, headers={"Host": host})
    detail = refused(answer, 400, 12046)
    assert "LUNA_ALLOWED_HOSTS" in detail
    assert repr(host) in detail
    assert answer.headers["Luna-Request-Id"]


@pytest.mark.django_db
@pytest.mark.usefixtures("on_loopback")
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5000", "127.0.0.1:1", "[::1]", "[::1]:5000", "luna.localhost"]
)
def test_loopback_names_are_allowed(host: str) -> None:
    client = basic_client(make_account())
    for path in ("/6/account", "/version", "/admin/login/"):
        assert client.get(path, headers={"Host": host}).status_code == 200


@pytest.mark.django_db
@pytest.mark.usefixtures("on_loopback")
def test_no_kept_answer_and_no_password_check_for_a_foreign_host(monkeypatch: pytest.MonkeyPatch) -> None:
    client, headers = basic_client(make_account()), {"Idempotency-Key": "k", "Host": "localhost"}
    assert client.post("/6/faces", {}, "application/json", headers=headers).status_code == 201
    refused(client.post("/6/faces", {}, "application/json", headers={**headers, "Host": "evil.example"}), 400, 12046)


@pytest.mark.usefixtures("on_loopback")
def test_a_large_body_for_a_foreign_host_is_not_received() -> None:
    with pytest.raises(LunaError) as caught:
        check_request(environ("POST", "/6/faces", host="evil.example"))
    assert (caught.value.status, caught.value.code) == (400, 12046)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "a.localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "luna.example", "localhost.example", "*", ""])  # noqa: S104
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["", "a b", "evil.example", "localhost.evil.example", "[::1", "1.2.3.4.example"])
def test_what_is_not_listed(host: str) -> None:
    assert not is_listed(host)


SHOW = """
import json
from django.conf import settings
from apps.accounts.config import Registration
from apps.common.config import Web, config
print(json.dumps([settings.ALLOWED_HOSTS, config(Web).allowed_hosts, config(Registration).open]))
"""
LOOPBACK = {".localhost", "127.0.0.1", "[::1]"}


def started(**variables: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "luna.settings"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("variables", "hosts", "registration"),
    [
        ({}, LOOPBACK, True),
        ({"LUNA_HOST": "::1"}, LOOPBACK, True),
        ({"LUNA_HOST": "localhost"}, {*LOOPBACK, "localhost"}, True),
        ({"LUNA_HOST": "0.0.0.0"}, {*LOOPBACK, "*", "0.0.0.0"}, False),  # noqa: S104
        ({"LUNA_HOST": "192.0.2.7"}, {*LOOPBACK, "*", "192.0.2.7"}, False),
        ({"LUNA_HOST": "127.0.0.1, [::1]"}, LOOPBACK, True),
        ({"LUNA_HOST": "127.0.0.1, 192.0.2.7"}, {*LOOPBACK, "*", "192.0.2.7"}, False),
        ({"LUNA_HOST": "192.0.2.7", "LUNA_OPEN_REGISTRATION": "1"}, {*LOOPBACK, "*", "192.0.2.7"}, True),
        (
            {"LUNA_HOST": "::", "LUNA_ALLOWED_HOSTS": "luna.example"},
            {*LOOPBACK, "luna.example", "[::]"},
            False,
        ),
        # Behind a proxy on the same machine
        ({"FORWARDED_ALLOW_IPS": "127.0.0.1"}, LOOPBACK, False),
        ({"LUNA_EXTERNAL_ADDRESS": "https://luna.example/"}, {*LOOPBACK, "luna.example"}, False),
        ({"LUNA_ALLOWED_HOSTS": "luna.example"}, {*LOOPBACK, "luna.example"}, False),
        ({"LUNA_OPEN_REGISTRATION": "false"}, LOOPBACK, False),
    ],
)
def test_defaults_of_a_start(variables: dict[str, str], hosts: set[str], registration: bool) -> None:
    allowed, _, is_open = started(**variables)
    assert set(allowed) == hosts
    assert is_open is registration
