"""The pages of the workbench in a real browser: nothing clipped, no console error, no serious finding of axe-core.

`LUNA_SCREENSHOTS=<folder>` also writes a picture of each page, with blurred faces.
"""

import os
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser

from tests.api.handlers.helpers import astronaut, nobody, sample
from tests.api.test_admin_browser import CHROMIUM, DESKTOP, PHONE, Visit, browser
from tests.platform import platform
from tests.site import HOSTILE, PEOPLE, make_site

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]


def drop(visit: Visit, *files: tuple[str, bytes]) -> None:
    """Choose files, and wait for the answer of each."""
    payload: Any = [{"name": name, "mimeType": "image/jpeg", "buffer": data} for name, data in files]
    before = visit.page.locator(".wb-card").count()
    visit.page.set_input_files("#id_photographs", payload)
    visit.page.wait_for_function(
        "n => document.querySelector('progress').value === n", arg=before + len(files), timeout=60_000
    )


@pytest.mark.timeout(300)
def test_photographs_in_a_browser(request: pytest.FixtureRequest) -> None:
    names = PEOPLE if os.environ.get("LUNA_SCREENSHOTS") else HOSTILE
    site = make_site(names, "museum@luna.test")
    staff, enrol, attempt = str(site.staff), reverse("workbench:enrol"), reverse("workbench:try")
    with platform(threads=8) as port:
        browser: Browser = request.getfixturevalue("browser")  # its event loop forbids queries from here on
        visit = Visit(browser, port, DESKTOP, "light")
        visit.see(attempt)
        visit.page.select_option("#id_account", str(site.owner.pk))
        visit.page.locator("form[action$='/account/'] button").click()
        visit.see(enrol)
        visit.page.select_option("#id_list", label=staff)
        drop(visit, (f"{names[1]}.jpg", astronaut()), (f"{names[0]}.jpg", b"broken"), ("none.jpg", nobody()))
        assert visit.page.locator(".wb-enrolled").count() == 1
        assert visit.page.locator(".wb-refusal").count() == 2
        assert visit.page.input_value("#id_name") == "", "a script of Unfold leaves it alone"
        faults = [f"enrolled: {each}" for each in visit.problems()]
        visit.picture("light-enrolled")
        visit.see(attempt)
        drop(visit, (f"{names[1]}.jpg", astronaut()), (f"{names[2]}.jpg", sample(1)))
        visit.page.locator("summary", has_text="Estimations").first.click()
        visit.page.locator("summary", has_text="Enrol").last.click()
        visit.page.wait_for_timeout(200)
        for size, theme in ((DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")):
            visit.size(size, theme)
            faults += [f"{theme} tried: {each}" for each in visit.problems()]
            visit.picture(f"{'phone' if size is PHONE else theme}-tried")
        box = visit.page.locator(".wb-figure img").first.evaluate("e => [e.complete, e.naturalWidth]")
        assert box == [True, 512]
        form = visit.page.locator("form[data-enrol]").last
        form.locator("input[name=name]").fill("Grace Hopper")
        form.locator("button").click()
        visit.page.locator(".wb-enrolled").wait_for()
        faults += visit.faults
    assert "\n".join(faults) == ""
