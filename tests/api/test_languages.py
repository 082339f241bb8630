"""Pages in the language of the browser; the API, its errors and the audit log in English."""

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import get_language

from apps.accounts.models import AuditRecord
from tests.factories import PASSWORD
from tests.site import ADMIN, PEOPLE, Site, configurator_pages, make_site, pages
from tools.translations import catalogue

pytestmark = pytest.mark.django_db
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
LONG = 16  # characters of a text that no other text contains by chance


@pytest.fixture
def site() -> Site:
    return make_site(PEOPLE, "museum@luna.test")


@pytest.fixture
def visitor(site: Site) -> Client:
    client = Client()
    client.force_login(site.admin)
    return client


def words(answer: Any) -> str:
    """The visible text of a page."""
    text = re.sub(r"<(script|style|pre|code).*?</\1>", "", answer.content.decode(), flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", "\n", text))


def test_pages_speak_the_language_of_the_browser(visitor: Client) -> None:
    german, english = visitor.get("/admin/", headers=GERMAN), visitor.get("/admin/")
    assert 'lang="de"' in german.content.decode()
    assert "Übersicht" in words(german)
    assert "Letzte Ereignisse" in words(german)
    assert "Overview" in words(english)
    assert "Übersicht" not in words(english)
    assert german["Content-Language"] == "de"
    assert "Accept-Language" in german["Vary"]
    assert "Overview" in words(visitor.get("/admin/", headers={"Accept-Language": 'fr, xx;q=0.4, "<b>'}))
    assert "Anmelden" in words(Client().get("/admin/login/", headers=GERMAN))
    assert "Nicht gefunden" in words(visitor.get("/admin/missing/", headers=GERMAN))
    assert get_language() == "en", "the thread serves the next request in English"


def test_no_page_has_an_english_text_that_is_translated(site: Site, visitor: Client) -> None:
    english = [
        each.id
        for each in catalogue()
        if isinstance(each.id, str) and len(each.id) > LONG and "%" not in each.id and each.id != each.string
    ]
    found, settings = {}, configurator_pages()
    for name, address in pages(site).items():
        shown: Any = words(visitor.get(address, headers=GERMAN))
        if name in settings:  # the descriptions of settings are English, and have some of the words
            shown = {line.strip() for line in shown.splitlines()}
        if left := [text for text in english if text in shown]:
            found[name] = left
    assert found == {}


def test_numbers_of_german_pages(site: Site, visitor: Client) -> None:
    task = "/admin/tasks/task/"
    assert "1,200 of 9,000" in words(visitor.get(task))
    assert "1.200 von 9.000" in words(visitor.get(task, headers=GERMAN))
    face = visitor.get(f"/admin/workbench/faces/{site.faces[0].face_id}/?threshold=0.85", headers=GERMAN)
    assert 'name="threshold" class="wb-field" min="0" max="1" step="0.01" value="0.85"' in face.content.decode()
    assert re.search(r"0,9\d\d", words(face)), "similarities"


def test_lines_of_the_audit_log_have_one_language(site: Site, visitor: Client) -> None:
    for headers in (GERMAN, {}):
        AuditRecord.objects.filter(object_type="pictures").delete()
        visitor.get("/admin/faces/face/", headers=headers)
        assert AuditRecord.objects.get(object_type="pictures").object_id == "faces"


def test_the_api_answers_in_english(site: Site, visitor: Client) -> None:
    """Errors of each kind have the same bytes for a German client, also after a German page."""
    client = Client()
    login = {"login": ADMIN, "password": PASSWORD}

    def answers(headers: dict[str, str]) -> list[tuple[int, bytes]]:
        requests = [
            client.get("/6/nothing", headers=headers),
            client.delete("/version", headers=headers),
            client.get("/6/faces", headers=headers),
            client.post("/6/accounts", "{", "application/json", headers=headers),
            client.post("/6/accounts", {"login": "no mail", "password": "x"}, "application/json", headers=headers),
            client.post("/6/login", login, "application/json", headers=headers),
        ]
        client.defaults["HTTP_LUNA_ACCOUNT_ID"] = str(site.owner.pk)
        requests += [
            client.get("/6/faces?page=x&age__gte=old", headers=headers),
            client.get("/6/events?create_time__gte=yesterday", headers=headers),
            client.get("/6/tasks?page_size=0", headers=headers),
            client.post("/6/handlers", {"policies": {"match_policy": 7}}, "application/json", headers=headers),
        ]
        del client.defaults["HTTP_LUNA_ACCOUNT_ID"]
        return [(answer.status_code, answer.content) for answer in requests]

    english = answers({})
    visitor.get("/admin/faces/face/", headers=GERMAN)
    assert answers(GERMAN) == english
    assert sum(status >= 400 for status, _body in english) >= len(english) - 1
