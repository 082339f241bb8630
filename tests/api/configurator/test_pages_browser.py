"""The Configurator's pages in a real browser: nothing clipped, no console error, no serious finding of axe-core.

`LUNA_SCREENSHOTS=<folder>` also writes a picture of each page.
"""

import os
from pathlib import Path

import orjson
import pytest
from django.urls import reverse
from playwright.sync_api import Browser

from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType
from apps.accounts.services import account_create
from apps.configurator import services
from apps.configurator.models import Change, Limitation, Setting, SettingGroup
from apps.configurator.services import LimitationDraft, SettingDraft
from tests.api.test_admin_browser import CHROMIUM, DESKTOP, PHONE, Visit, browser
from tests.factories import PASSWORD
from tests.platform import platform
from tests.site import ADMIN, HOSTILE

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]
NAMES = ("Queue of the detector", "desk", "routing_key", "detector")
PAGING = "LUNA_PAGING"
DARK = {"settings", "setting-other", "change"}  # colours of all kinds of parts


def setting(name: str) -> Setting:
    return Setting.objects.get(limitation__limitation_name=name, is_default=True)


def rows(names: tuple[str, ...]) -> None:
    """Store a setting, a limitation and a group with the texts of clients in every place."""
    admin = account_create(login=ADMIN, password=PASSWORD, account_type=AccountType.ADMIN)
    actor = Actor(account_id=admin.pk)
    text, tag, member, value = (name.replace("/", "") for name in names)
    schema = {
        "type": "object",
        "required": [member],
        "properties": {
            member: {"type": "string", "description": text},
            "exchanges": {"type": "array", "items": {"type": "string"}},
            "rows": {"type": "array", "items": {"type": "object", "properties": {member: {"enum": [value, 1]}}}},
        },
    }
    default = {member: value, "exchanges": [value, text], "rows": [{member: value}, {}]}
    draft = LimitationDraft(
        name="DETECTOR_QUEUE", schema=schema, services=[tag], default_value=default, description=text
    )
    services.limitation_create(draft=draft, actor=actor)
    services.group_create(name=tag, description=text, limitations=["DETECTOR_QUEUE", PAGING], actor=actor)
    tags = [tag.replace("=", "").replace(",", "")]
    copy = SettingDraft(name="DETECTOR_QUEUE", value=default | {member: text}, description=text, tags=tags)
    services.setting_create(draft=copy, actor=actor)
    paging = SettingDraft(name=PAGING, value={"default_page_size": 20}, description=text)
    services.setting_replace(setting_id=setting(PAGING).pk, draft=paging, actor=actor)


def addresses() -> dict[str, str]:
    change = Change.objects.latest("pk")
    copy = Setting.objects.get(is_default=False)
    return {
        "settings": reverse("admin:configurator_setting_changelist"),
        "settings-none": reverse("admin:configurator_setting_changelist") + "?tag=none",
        "limitations": reverse("admin:configurator_limitation_changelist") + "?platform__exact=0",
        "groups": reverse("admin:configurator_settinggroup_changelist"),
        "history": reverse("admin:configurator_change_changelist"),
        "setting": reverse("admin:configurator_setting_change", args=(setting(PAGING).pk,)),
        "setting-large": reverse("admin:configurator_setting_change", args=(setting("FACE_QUALITY_SETTINGS").pk,)),
        "setting-other": reverse("admin:configurator_setting_change", args=(copy.pk,)),
        "setting-environment": reverse("admin:configurator_setting_change", args=(setting("LUNA_SERVICES").pk,)),
        "setting-add": reverse("admin:configurator_setting_add"),
        "setting-copy": f"{reverse('admin:configurator_setting_add')}?from={copy.pk}",
        "setting-delete": reverse("admin:configurator_setting_delete", args=(copy.pk,)),
        "limitation": reverse("admin:configurator_limitation_change", args=(copy.limitation_id,)),
        "limitation-ours": reverse(
            "admin:configurator_limitation_change", args=(Limitation.objects.get(limitation_name=PAGING).pk,)
        ),
        "group": reverse("admin:configurator_settinggroup_change", args=(SettingGroup.objects.get().pk,)),
        "change": reverse("admin:configurator_change_change", args=(change.pk,)),
        "undo": reverse("admin:configurator_undo", args=(change.pk,)),
        "dump": reverse("admin:configurator_setting_dump"),
        "load": reverse("admin:configurator_setting_load"),
        "processes": reverse("admin:configurator_setting_processes"),
    }


def picture(visit: Visit, name: str) -> None:
    if folder := os.environ.get("LUNA_SCREENSHOTS"):
        visit.page.screenshot(path=Path(folder) / f"{name}.png", full_page=visit.page.viewport_size == PHONE)


def looked(visit: Visit, kind: str, name: str) -> list[str]:
    """Return what is wrong on the page, and write its picture."""
    picture(visit, f"configurator-{kind}-{name}")
    return [f"{kind} {name}: {each}" for each in visit.problems()]


@pytest.mark.timeout(300)
def test_the_configurator_in_a_browser(request: pytest.FixtureRequest) -> None:
    rows(NAMES if os.environ.get("LUNA_SCREENSHOTS") else HOSTILE)
    pages, faults = addresses(), list[str]()
    dump = orjson.dumps({"settings": [{"name": PAGING, "value": {}}, {"name": "S3", "value": {"region": HOSTILE[1]}}]})
    with platform(threads=8) as port:
        browser: Browser = request.getfixturevalue("browser")  # its event loop forbids queries from here on
        for size, theme, kind in ((DESKTOP, "light", "light"), (DESKTOP, "dark", "dark"), (PHONE, "light", "phone")):
            visit = Visit(browser, port, size, theme)
            page = visit.page

            for name, address in pages.items():
                if kind == "dark" and name not in DARK and not os.environ.get("LUNA_SCREENSHOTS"):
                    continue
                visit.see(address)
                faults += looked(visit, kind, name)
            visit.see(pages["setting"])
            page.fill("[name='value.max_page_size']", "many")
            page.press("[name='value.max_page_size']", "Enter")  # the enter key saves nothing
            page.wait_for_load_state("networkidle")
            page.locator("button[value=save]").click()
            page.locator(".luna-wrong").wait_for()
            faults += looked(visit, kind, "setting-wrong")
            page.locator("button[value=json]").click()
            page.fill("#id_json", '{\n  "max_page_size": x\n}')
            page.locator("button[value=save]").click()
            page.locator("#id_json-error").wait_for()
            faults += looked(visit, kind, "setting-json")
            caret = page.evaluate("() => [document.activeElement.id, document.activeElement.selectionStart]")
            assert caret == ["id_json", 21]
            visit.see(pages["load"])
            page.set_input_files("#id_file", {"name": "dump.json", "mimeType": "application/json", "buffer": dump})
            page.locator("button[value=preview]").click()
            page.locator("button[value=load]").wait_for()
            faults += looked(visit, kind, "load-preview")
            if kind == "phone":
                page.locator("button[value=load]").click()
                page.wait_for_url("**/configurator/setting/")
                page.get_by_text("Loaded: 2 settings").first.wait_for()
            faults += visit.faults
            page.context.close()
    assert "\n".join(faults) == ""
