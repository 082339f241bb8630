"""The forms of the Configurator in a real browser; `tests/api/test_admin_browser.py` visits each of its pages.

`LUNA_SCREENSHOTS=<folder>` also writes a picture of each step.
"""

import os
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser

from tests.api.test_admin_browser import CHROMIUM, DESKTOP, PHONE, Visit, browser
from tests.platform import platform
from tests.site import HOSTILE, PAGING, PEOPLE, configurator_pages, make_site

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]


def picture(visit: Visit, name: str) -> None:
    if folder := os.environ.get("LUNA_SCREENSHOTS"):
        visit.page.screenshot(path=Path(folder) / f"{name}.png", full_page=visit.page.viewport_size == PHONE)


def looked(visit: Visit, kind: str, name: str) -> list[str]:
    """Return what is wrong on the page, and write its picture."""
    picture(visit, f"configurator-{kind}-{name}")
    return [f"{kind} {name}: {each}" for each in visit.problems()]


@pytest.mark.timeout(300)
def test_the_configurator_in_a_browser(request: pytest.FixtureRequest) -> None:
    make_site(PEOPLE if os.environ.get("LUNA_SCREENSHOTS") else HOSTILE, "museum@luna.test")
    pages, faults = configurator_pages(), list[str]()
    dump = orjson.dumps({"settings": [{"name": PAGING, "value": {}}, {"name": "S3", "value": {"region": HOSTILE[1]}}]})
    with platform(threads=8) as port:
        browser: Browser = request.getfixturevalue("browser")  # its event loop forbids queries from here on
        visit = Visit(browser, port, DESKTOP, "light")
        page = visit.page
        for size, theme, kind in ((DESKTOP, "light", "light"), (DESKTOP, "dark", "dark"), (PHONE, "light", "phone")):
            visit.size(size, theme)
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
    assert "\n".join(faults) == ""
