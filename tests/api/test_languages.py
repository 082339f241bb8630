"""Pages in the language of the browser; the API, its errors and the audit log in English."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models import Q
from django.test import Client
from django.urls import reverse
from django.utils.translation import get_language, trans_real

from apps.accounts.models import AuditRecord
from apps.common.descriptors import versions
from apps.configurator import selectors
from apps.configurator.models import Limitation
from tests.factories import PASSWORD
from tests.pseudo import Pseudo, pseudo, unmarked
from tests.site import ADMIN, PAGING, PEOPLE, Site, make_site, pages

__all__ = ["pseudo"]  # a fixture
pytestmark = pytest.mark.django_db
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]+")
SETTINGS = (PAGING, "FACE_QUALITY_SETTINGS")  # of pages, whose names of members are those of JSON
# What pages show as it is: rows of the site, addresses and ids, times, and names of the API, of settings and networks.
DATA = re.compile(
    r"\b(luna-[a-z0-9-]+|luna|esc|[a-z]+@luna\.test|(Ada|Grace|Alan|Emmy) (Lovelace|Hopper|Turing|Noether)|gate north|"
    r"queue of the detector|desk|"
    r"lobby|nowhere|known|an-own-bucket|E-\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}|UTC|now-7d, 2026-01-31T08:00Z|KiB|"
    r"image/jpeg|visionlabs-[a-z-]+|https?://[^\s\']+(?: Hopper)?|samples/faces|dlib-resnet|mobilefacenet|sface|r0095|"
    r"reid-0287|float32-le|CC0-1.0|Apache-2.0|md5|JSON|HTTP|S3|[a-z0-9]+(_[a-z0-9]+)+|[\w+/=]+(?=\*))\b|\{.*\}",
    re.IGNORECASE,
)


def catalog(language: str) -> Any:
    """Return the translations of the platform and its packages."""
    return trans_real.DjangoTranslation(language)._catalog  # type: ignore[attr-defined]  # of `gettext`


def is_free(text: str | tuple[str, str]) -> bool:
    """Return whether a text may have no translation: one without words, a translated one, a name of a language.

    Sentences of errors are compared with templates (`test_refusals.py`).
    """
    first = text if isinstance(text, str) else text[0]
    return (
        not re.search("[A-Za-z]", DATA.sub("", first))
        or "⟦" in first
        or first == "Deutsch"
        or first.startswith("error\x04")
    )


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


def names_of_settings(schema: Any) -> Iterator[str]:
    """Yield the names of members of settings, and their options, which are those of JSON."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from map(str, schema.get("enum", ()))
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from names_of_settings(each)


def test_pages_translate_each_of_their_texts(site: Site, visitor: Client, pseudo: Pseudo) -> None:
    """Each text of each page comes from the catalogue, which has a translation for it. Data stay as they are."""
    limitations = Limitation.objects.filter(Q(limitation_name__in=SETTINGS) | Q(platform=False))
    schemas = [selectors.facts_of(each).schema for each in limitations]
    left, names = {}, {*names_of_settings(schemas), "description"}  # the last one of changes
    for version in versions.all():  # also those of other tests
        names |= {version.network, version.raw_encoding}
    for name, address in pages(site).items():
        shown = visitor.get(address, headers=GERMAN, follow=True).content.decode()
        if found := {each for line in unmarked(shown) for each in WORD.findall(DATA.sub("", line))} - names:
            left[name] = found
    assert left == {}
    known = catalog("de")
    missing = [
        text
        for text in pseudo.asked
        if (text if isinstance(text, str) else (text[0], 0)) not in known and not is_free(text)
    ]
    assert missing == []


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
            client.post("/6/handlers", {"description": "x" * 200}, "application/json", headers=headers),
        ]
        del client.defaults["HTTP_LUNA_ACCOUNT_ID"]
        return [(answer.status_code, answer.content) for answer in requests]

    english = answers({})
    visitor.get("/admin/faces/face/", headers=GERMAN)
    form = {"account": str(site.admin.pk), "do": "save", "mode": "form", "description": "x" * 200}
    assert "Höchstens 128 Zeichen" in words(visitor.post(reverse("workbench:handler_add"), form, headers=GERMAN))
    assert answers(GERMAN) == english
    assert sum(status >= 400 for status, _body in english) >= len(english) - 1
