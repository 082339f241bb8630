"""Cookies and headers of pages: over HTTP, and over HTTPS behind a proxy."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account
from apps.common.config import Pages
from tests.factories import PASSWORD, basic_client, make_account

pytestmark = pytest.mark.django_db
POLICY = "Content-Security-Policy"


def log_in(account: Account, **environ: Any) -> Any:
    client = Client()
    client.get("/admin/login/", **environ)
    return client.post("/admin/login/", {"username": account.login, "password": PASSWORD}, **environ)


def test_cookies_over_http(admin: Account) -> None:
    answer = log_in(admin)
    assert set(answer.cookies) == {"luna_session", "luna_csrf"}
    for cookie in answer.cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", "")
    assert "Strict-Transport-Security" not in answer.headers


def test_cookies_over_https(admin: Account) -> None:
    answer = log_in(admin, secure=True)
    assert set(answer.cookies) == {"luna_session", "luna_csrf"}
    for cookie in answer.cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", True)
    assert answer.headers["Strict-Transport-Security"] == "max-age=2592000"


@pytest.mark.parametrize("secure", [True, False])
def test_cookies_by_the_setting(admin: Account, configure: Callable[..., None], secure: bool) -> None:
    configure(Pages, secure_cookies=secure)
    for cookie in log_in(admin, secure=not secure).cookies.values():
        assert bool(cookie["secure"]) is secure


def test_messages_are_in_the_session(admin: Account) -> None:
    """A cookie would show the names of deleted objects."""
    site, other = Client(), make_account()
    site.force_login(admin)
    answer = site.post(f"/admin/accounts/account/{other.pk}/delete/", {"post": "yes", "login": other.login})
    assert answer.status_code == 302
    assert set(site.cookies) <= {"luna_session", "luna_csrf"}


def test_the_api_sets_no_cookie_and_is_no_page(admin: Account) -> None:
    client = basic_client(admin)
    for path in ("/6/account", "/version", "/healthcheck", "/6/nowhere", "/1/buckets"):
        answer = client.get(path, secure=True)
        assert not answer.cookies
        assert answer.headers[POLICY] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def directives(answer: Any) -> dict[str, list[str]]:
    return {name: values for name, *values in (each.split() for each in answer.headers[POLICY].split(";"))}


def test_policy_of_pages(admin: Account) -> None:
    """No inline script runs anywhere. Only the admin site evaluates expressions (Alpine.js)."""
    site = Client()
    site.force_login(admin)
    for path, eval_allowed in (("/admin/", True), ("/docs/errors", False), ("/docs/spec", False)):
        answer = site.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200
        found = directives(answer)
        scripts = found.get("script-src", found["default-src"])
        assert set(scripts) == {"'self'", "'unsafe-eval'"} if eval_allowed else {"'self'"}
        assert found["frame-ancestors"] == found["base-uri"] == found["object-src"] == ["'none'"]
        assert found["form-action"] == found["default-src"] == ["'self'"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"


def test_policy_of_the_settings(configure: Callable[..., None]) -> None:
    configure(Pages, content_security_policy="default-src 'self' https://cdn.example")
    for path in ("/admin/login/", "/docs/errors"):
        assert Client().get(path).headers[POLICY] == "default-src 'self' https://cdn.example"
    assert Client().get("/version").headers[POLICY].startswith("default-src 'none'")


class Scripts(HTMLParser):
    """Collects what the policy would block: inline scripts, handlers in attributes, foreign sources."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" and "src" not in values and values.get("type") not in ("application/json", "text/template"):
            self.blocked.append(str(self.get_starttag_text()))
        for name, value in attrs:
            is_handler = re.fullmatch(r"on[a-z]+", name)
            is_foreign = name in ("src", "action") and re.match(r"(https?:)?//", value or "")
            if is_handler or is_foreign or (value or "").strip().lower().startswith("javascript:"):
                self.blocked.append(f"{tag} {name}={value}")


@pytest.mark.parametrize(
    "route",
    ["index", "accounts_account_changelist", "accounts_account_add", "faces_face_changelist", "password_change"],
)
def test_pages_need_nothing_that_their_policy_blocks(admin: Account, route: str) -> None:
    site = Client()
    site.force_login(admin)
    pages = [site.get(reverse(f"admin:{route}")), site.get("/admin/nowhere/")]
    for page in (*pages, *(Client().get(path) for path in ("/admin/login/", "/docs/errors", "/"))):
        assert page.status_code == (404 if page is pages[1] else 200)
        found = Scripts()
        found.feed(page.content.decode())
        assert found.blocked == []


def test_the_page_of_the_api_needs_nothing_that_its_policy_blocks() -> None:
    page = Client().get("/docs/spec", headers={"Accept": "text/html"})
    found = Scripts()
    found.feed(page.content.decode())
    assert found.blocked == []
    sources = re.findall(r'<script src="([^"]+)"', page.content.decode())
    script = Client().get(sources[-1], headers={"Accept": "*/*"})
    assert (script.status_code, script.headers["Content-Type"].partition(";")[0]) == (200, "application/javascript")
    assert "SwaggerUIBundle" in script.content.decode()
    for source in sources[:-1]:
        assert Client().get(source).status_code == 200
