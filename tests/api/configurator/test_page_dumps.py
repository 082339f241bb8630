"""Dumps of settings on the Configurator's pages."""

import json
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import AuditRecord
from apps.configurator import services
from apps.configurator.models import Change
from apps.configurator.services import SettingDraft
from tests.api.configurator.pages import HOSTILE, PAGING, QUEUE, default_of, page

pytestmark = pytest.mark.django_db


def upload(content: Any) -> SimpleUploadedFile:
    return SimpleUploadedFile("dump.json", content if isinstance(content, bytes) else orjson.dumps(content))


def test_a_dump_is_loaded_after_a_preview(site: Client) -> None:
    load, dump = page("setting", "load"), page("setting", "dump")
    services.limitation_create(draft=QUEUE)
    content = orjson.loads(site.get(dump, {"file": "all"}).content)
    assert site.get(dump, {"service": "queues"}).json()["limitations"][0]["limitation_name"] == "QUEUE"
    assert site.get(dump, {"service": "no"}).status_code == 200
    same = site.post(load, {"file": upload(content)})
    assert (list(same.context["changes"]), same.context["problems"]) == ([], ())

    content["settings"] = [each for each in content["settings"] if each["name"] in (PAGING, "S3")]
    next(each for each in content["settings"] if each["name"] == PAGING)["value"] = {"default_page_size": 20}
    content["limitations"], content["groups"] = [], [{"group_name": HOSTILE[:100], "limitations": [PAGING]}]
    before = Change.objects.count(), AuditRecord.objects.count()
    seen = site.post(load, {"file": upload(content)})
    assert [each["name"] for each in seen.context["changes"]] == [HOSTILE[:100], PAGING, HOSTILE[:100]]
    assert (Change.objects.count(), AuditRecord.objects.count(), default_of(PAGING).value) == (*before, {})
    assert HOSTILE not in seen.content.decode()
    form = {"do": "load", "text": seen.context["text"], "version": seen.context["preview"].version}
    services.setting_replace(setting_id=default_of("S3").pk, draft=SettingDraft(name="S3", value={"region": "eu"}))
    stale = site.post(load, form)
    assert "S3" in [each["name"] for each in stale.context["changes"]]
    assert default_of(PAGING).value == {}
    form["version"] = stale.context["preview"].version
    assert site.post(load, form).status_code == 302
    assert default_of(PAGING).value == {"default_page_size": 20}
    again = site.post(load, {"file": upload(content)})
    assert list(again.context["changes"]) == []


def test_bad_dumps_are_refused_with_their_reasons(site: Client) -> None:
    load, before = page("setting", "load"), Change.objects.count()
    settings = [{"name": "NOBODYS", "value": 1}, {"name": PAGING, "value": {"no": 1}}, 5]
    for content, expected in (
        (b'{"settings": [', [None]),
        (b"\xff\xfe", [None]),
        (b"[]", [None]),
        ({"settings": settings}, [27006, 12027, None]),
        ({"groups": [{"group_name": "g", "limitations": ["NOBODYS"]}]}, [27006]),
    ):
        answer = site.post(load, {"file": upload(content), "do": "preview"})
        assert [each.code for each in answer.context["problems"]] == expected, content
        assert site.post(
            load, {"text": "" if isinstance(content, bytes) else json.dumps(content), "do": "load"}
        ).context["problems"]
    assert site.post(load, {}).context["problems"]
    assert Change.objects.count() == before
