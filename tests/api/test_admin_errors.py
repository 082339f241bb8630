"""Error pages of the admin site."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.common.request_id import HEADER
from luna import dashboard
from tests.factories import PASSWORD, make_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin: Account) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(admin)
    return client


def test_a_missing_page_keeps_the_look_of_the_site(site: Client) -> None:
    response = site.get("/admin/missing/")

    page = response.content.decode()
    assert response.status_code == 404
    assert "This page does not exist" in page
    assert reverse("admin:faces_face_changelist") in page, "the sidebar"


def test_a_page_without_permission_keeps_the_look_of_the_site() -> None:
    account = make_account()
    account_update(account=account, roles=[Role.AUDITOR])
    site = Client()
    site.force_login(account)

    response = site.get(reverse("admin:faces_face_changelist"))

    assert response.status_code == 403
    assert "no permission for this page" in response.content.decode()


def test_paths_outside_of_the_site_answer_json(site: Client) -> None:
    for client in (site, Client()):
        for path in ("/accounts/profile/", "/favicon.ico", "/6/nothing"):
            response = client.get(path)
            assert response.status_code == 404, path
            assert response.headers["Content-Type"] == "application/json"
            assert response.json()["error_code"]


def test_a_failure_names_its_request_and_no_reason(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the platform")

    monkeypatch.setattr(dashboard, "_counts", broken)

    response = site.get("/admin/")

    page = response.content.decode()
    assert response.status_code == 500
    assert response.headers[HEADER] in page
    assert "secret" not in page


def test_a_form_without_its_token_is_refused_in_the_look_of_the_site(admin: Account) -> None:
    site = Client(enforce_csrf_checks=True)
    site.force_login(admin)

    response = site.post(reverse("admin:faces_list_add"), {"user_data": "guests"})

    assert response.status_code == 403
    assert "Reload the page" in response.content.decode()


def test_a_login_without_a_target_leads_to_the_overview(admin: Account) -> None:
    response = Client().post("/admin/login/", {"username": admin.login, "password": PASSWORD})

    assert response.status_code == 302
    assert response.headers["Location"] == reverse("admin:index")
