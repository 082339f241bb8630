"""Cookies, forms and messages belong to pages; resources of the API know none of them."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from apps.common import pages

MIDDLEWARE = (pages.SessionMiddleware, pages.AuthenticationMiddleware, pages.MessageMiddleware)


def passed(path: str) -> HttpRequest:
    """The request as a view receives it."""
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    handler: Any = view  # a function, then the middlewares around it
    for middleware in reversed(MIDDLEWARE):
        handler = middleware(handler)
    handler(RequestFactory().get(path))
    return seen[0]


@pytest.mark.parametrize("path", ["/6/faces", "/1/buckets", "/version", "/healthcheck"])
def test_resources_have_no_session(path: str) -> None:
    assert not {"session", "user", "_messages"} & set(vars(passed(path)))


@pytest.mark.parametrize("path", ["/admin/", "/docs/spec", "/"])
def test_pages_have_one(path: str) -> None:
    assert {"session", "_messages"} <= set(vars(passed(path)))


def test_forms_of_pages_need_their_token() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 403


def test_the_checks_of_the_admin_site_find_their_middleware() -> None:
    assert [each for each in run_checks() if str(each.id).startswith("admin.E")] == []
