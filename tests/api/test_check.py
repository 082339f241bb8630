"""What is refused before a large body is received."""

import http.client
import json

import pytest
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.errors import LunaError
from luna.http import check
from luna.http.check import check_request
from tests.api.helpers import environ
from tests.factories import make_account
from tests.platform import Caller, platform


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("POST", "/6/faces", 12010, 403),
        ("POST", "/6/objects", 12010, 403),
        ("PUT", "/6/faces", 12021, 405),
        ("TRACE", "/6/faces", 12021, 405),
        ("POST", "/6/nowhere", 12013, 404),
        ("POST", "/admin/login/", 37003, 413),
    ],
)
def test_what_cannot_be_right_is_refused(method: str, path: str, code: int, status: int) -> None:
    with pytest.raises(LunaError) as caught:
        check_request(environ(method, path))
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.mark.parametrize("path", ["/6/sdk", "/6/iso", "/6/liveness", "/6/accounts", "/6/credentials"])
def test_what_needs_no_credentials_passes(path: str) -> None:
    check_request(environ("POST", path))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/6/objects", "/6/sdk"])
def test_wrong_credentials_are_refused(path: str) -> None:
    with pytest.raises(LunaError) as caught:
        check_request(environ("POST", path, authorization="Bearer x"))
    assert caught.value.status == 401


@pytest.mark.django_db
def test_large_photographs_of_pages_need_a_login(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "close_old_connections", lambda: None)  # it would close the one of the test
    for account, is_staff in ((make_account(AccountType.ADMIN), True), (make_account(), False)):
        client.force_login(account)
        page = environ("POST", "/admin/workbench/try/photograph/")
        page["HTTP_COOKIE"] = client.cookies.output(header="", sep=";")
        if is_staff:
            check_request(page)
        else:
            with pytest.raises(LunaError, match="after a login only"):
                check_request(page)


@pytest.mark.django_db(transaction=True)
def test_a_large_body_needs_credentials_and_arrives_with_them() -> None:
    account: Account = make_account()
    body = bytes(5_000_000)
    with platform(threads=1, max_body_bytes=10**7) as port:
        answer = Caller(port, account.login).ask("POST", "/6/objects", body, "application/octet-stream")
        assert answer[0] == 201, answer
        nobody = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        nobody.putrequest("POST", "/6/objects")
        nobody.putheader("Content-Length", "5000000")
        nobody.endheaders()
        refused = nobody.getresponse()
        assert (refused.status, json.loads(refused.read())["error_code"]) == (403, 12010)
