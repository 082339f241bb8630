"""Texts of clients stay texts on every page: each text that a row can have is hostile here.

The texts are those of the models: a new field is hostile by itself. It needs a row in `tests/site.py`, or a reason
why no client can write it (`NOT_OF_CLIENTS`). `tests/api/test_admin_browser.py` visits the pages in a browser.
"""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, JSONField, Model, TextField
from django.test import Client

from apps.common.fields import parse_uuid
from apps.configurator.models import Limitation, Setting
from tests.site import make_site, pages

NOT_OF_CLIENTS = {
    "accounts.Account.password": "a hash",
    "accounts.Account.time_zone": "a name of the database of time zones",
    "accounts.AuditRecord.action": "a word of the platform",
    "accounts.AuditRecord.members": "ids",
    "accounts.AuditRecord.object_type": "a word of the platform",
    "events.Event.face_detections": "numbers, ids and addresses, as those of bodies",
    "faces.ThinFace": "a copy that no page reads",
    "events.ThinEvent": "a copy that no page reads",
    "handlers.Verifier.policies": "numbers, and words of the platform",
    "imagestore.StoredBucket.name": "letters, digits and hyphens",
    "imagestore.StoredObject.bucket": "letters, digits and hyphens",
    "imagestore.StoredObject.sha256": "a hash",
    "licenses": "signed documents, and hashes",
    "monitoring": "words of the platform",
    "people.PersonDecision": "numbers of rows, and words of the platform",
    "sender.Callback.kind": "a word of the platform",
    "sender.Callback.traceparent": "digits",
    "tasks.Schedule.trigger_timezone": "a word of the platform",
    "tasks.Schedule.time_zone": "a name of the database of time zones",
    "tasks.Subtask": "no page reads it",
    "tasks.SubtaskOutput": "no page reads it",
    "tasks.Task.remote_address": "an address that the server reads",
    "tasks.Schedule.remote_address": "an address that the server reads",
    "tasks.Task.traceparent": "digits",
}
WORDS = {"type", "kind", "objects_type"}  # members of JSON with words of the platform
EXECUTED = re.compile(r"on|x-|@|:|hx-")
ADDRESSES = {"action", "data", "formaction", "href", "src", "srcdoc", "xlink:href"}
HOSTILE = re.compile(r"""'\\?"><x(\d+)>""")  # JSON has a backslash
NAMES = 4  # of `make_site`


def hostile(number: int) -> str:
    """Return a text that leaves an attribute in quotes of both kinds and opens an element."""
    return f"'\"><x{number}>"


def texts() -> Iterator[tuple[str, type[Model], Any]]:
    """Yield the text fields of the platform's models that clients can write."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields if model.__module__.startswith("apps.") else ():
            of = field.base_field if isinstance(field, ArrayField) else field
            label = f"{model._meta.label}.{field.name}"
            excepted = {label, model._meta.label, model._meta.app_label} & NOT_OF_CLIENTS.keys()
            if isinstance(of, CharField | TextField | JSONField) and not of.choices and not excepted:
                yield label, model, field


def test_exceptions_are_fields() -> None:
    fields = {f"{model._meta.label}.{field.name}" for model in apps.get_models() for field in model._meta.get_fields()}
    known = fields | {label.rpartition(".")[0] for label in fields} | {label.partition(".")[0] for label in fields}
    assert NOT_OF_CLIENTS.keys() <= known


def changed(value: Any, text: str, name: str = "") -> Any:
    """Return a stored value with hostile texts in place of all texts that are no words, ids, addresses or numbers."""
    if isinstance(value, dict):
        return {key: changed(each, text, key) for key, each in value.items()}
    if isinstance(value, list):
        return [changed(each, text, name) for each in value]
    kept = not isinstance(value, str) or name in WORDS or parse_uuid(value) or re.match(r"/6/|\d{4}-\d\d-\d\d", value)
    return value if kept else text


def rows_of(model: type[Model]) -> list[Any]:
    rows = model._base_manager.all()
    if model in (Limitation, Setting):  # those of the platform are checked by its own types
        rows = rows.filter(**{"platform" if model is Limitation else "limitation__platform": False})
    return list(rows)


def spoil() -> dict[int, str]:
    """Write a hostile text of its own to each text field, and return the fields by the numbers of their texts."""
    numbered = {}
    for number, (label, model, field) in enumerate(texts(), NAMES):
        numbered[number] = label
        for row in rows_of(model):
            value = getattr(row, field.attname)
            if isinstance(field, JSONField | ArrayField):
                value = changed({"text": ""} if value == {} else value, hostile(number))
            elif not str(value).isdigit() and (not field.unique or row == rows_of(model)[-1]):
                value = hostile(number)
            model._base_manager.filter(pk=row.pk).update(**{field.attname: value})
    return numbered


def missing() -> list[str]:
    """Return the fields without a row that has a hostile text."""
    found = []
    for label, model, field in texts():
        stored = json.dumps([getattr(row, field.attname) for row in rows_of(model)])
        if not HOSTILE.search(stored):
            found.append(label)
    return found


class Page(HTMLParser):
    """The faults of a page: what hostile texts became besides text, and the numbers of those that are text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.seen: set[int] = set()
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if re.fullmatch(r"x\d+", tag):
            self.faults.append(f"element <{tag}>")
        for name, value in attrs:
            found = HOSTILE.search(value or "")
            if re.search(r"[\"'<]", name):
                self.faults.append(f"attribute {name} of <{tag}>")
            elif found and EXECUTED.match(name):
                self.faults.append(f"script in {name}={value}")
            elif name in ADDRESSES and re.match(r"\s*(javascript:|'\"><x)", value or "", re.I):
                self.faults.append(f"address {name}={value}")
            self.seen |= {int(found[1])} if found else set()

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.seen |= {int(number) for number in HOSTILE.findall(data)}
        if self.cdata_elem and re.search(r"<x\d", data):
            self.faults.append(f"<{self.cdata_elem}> {data}")


@pytest.mark.parametrize(
    "content",
    [
        f"<p>{hostile(1)}</p>",
        f'<p title="{hostile(1)}">',
        f"<p title='{hostile(1)}'>",
        f"<p title={hostile(1)}>",
        f"<script>const x = '{hostile(1)}'</script>",
        '<p x-data="{ name: &#x27;&#x27;&quot;&gt;&lt;x1&gt;&#x27; }">',
        '<p onclick="f(&#x27;&#x27;&quot;&gt;&lt;x1&gt;&#x27;)">',
        '<a href="&#x27;&quot;&gt;&lt;x1&gt;">',
        '<a href="javascript:x()">',
    ],
)
def test_faults_are_found(content: str) -> None:
    assert Page(content).faults


@pytest.mark.parametrize(
    "content", ["&#x27;&quot;&gt;&lt;x1&gt;", '<a href="?q=%27%22%3E%3Cx1%3E" title="&#x27;&quot;&gt;&lt;x1&gt;">']
)
def test_texts_are_no_faults(content: str) -> None:
    page = Page(content)
    assert (page.faults, page.seen) == ([], {1})


@pytest.mark.django_db
def test_every_page_escapes_every_text(client: Client) -> None:
    site = make_site(tuple(hostile(number) for number in range(NAMES)), "museum@luna.test")
    addresses = pages(site)
    numbered = spoil()
    assert " ".join(missing()) == "", "give them a row in tests/site.py, or a reason in NOT_OF_CLIENTS"
    client.force_login(site.admin)
    faults, seen = {}, set[int]()
    for name, address in addresses.items():
        answer = client.get(address)
        assert answer.status_code == (404 if name == "missing" else 200), (name, answer.headers)
        page = Page(answer.content.decode())
        seen |= page.seen
        if page.faults:
            faults[name] = page.faults
    assert faults == {}
    hidden = [label for number, label in numbered.items() if number not in seen]
    assert len(hidden) < len(numbered) / 4, hidden  # pages show most texts, so that this test can fail
