"""The admin site in a real browser: no JavaScript errors, nothing clipped on a phone, texts of clients stay texts.

`LUNA_SCREENSHOTS=<folder> pytest tests/api/test_admin_browser.py` also writes a picture of each page, with blurred
faces.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from tests.factories import PASSWORD
from tests.platform import platform
from tests.site import ADMIN, HOSTILE, PEOPLE, make_site, pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
SERIOUS = {"serious", "critical"}
COLOURS = ("color-contrast", "link-in-text-block")  # the rules that dark colours can break
SAME_FORM = {"handler-add", "handler-copy", "verifier-add"}  # as the form of a stored row, whose check takes seconds
BLUR = ".wb-figure img, .wb-source, .luna-thumbnail { filter: blur(7px); }"
# Texts that do not fit their cell, pages wider than the screen, and lists wider than their frame.
CLIPPED = """() => {
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const places = '#content td, #content th, .readonly, .luna-panel *:not(input, textarea)';
  const cells = [...document.querySelectorAll(places)]
    .filter(cell => cell.offsetParent && cell.scrollWidth > cell.clientWidth + 1 && cell.clientWidth)
    .filter(cell => getComputedStyle(cell).overflowX !== 'visible' || cell.getBoundingClientRect().left < 0
      || cell.getBoundingClientRect().left + cell.scrollWidth > window.innerWidth)
    .map(cell => cell.className + ': ' + cell.textContent.trim().slice(0, 60));
  const frame = document.querySelector('#result_list')?.parentElement;
  if (frame && frame.scrollWidth > frame.clientWidth + 1) cells.push('list: ' + frame.scrollWidth);
  return wide > 1 ? ['page: ' + wide, ...cells] : cells;
}"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """A logged-in browser window that remembers what went wrong."""

    def __init__(self, browser: Browser, port: int, size: dict[str, int], theme: str) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.theme = theme
        self.faults: list[str] = []
        context = browser.new_context(viewport=size, color_scheme=theme)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.page.on(
            "console", lambda line: self._fault(f"{line.text} {line.location}") if line.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self._fault(str(error)))
        self.page.on(
            "response", lambda answer: self._fault(f"{answer.status} {answer.url}") if answer.status >= 400 else None
        )
        self.page.on("dialog", self._dialog)
        self.page.goto(f"{self.base}/admin/login/")
        self.page.fill("input[name=username]", ADMIN)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit], input[type=submit]")
        self.page.wait_for_url(f"{self.base}/admin/")

    def _dialog(self, dialog: Dialog) -> None:
        self._fault(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _fault(self, text: str) -> None:
        self.faults.append(f"{self.page.url}: {text}")

    def see(self, address: str) -> None:
        self.page.goto(f"{self.base}{address}", wait_until="load")
        self._paint()

    def size(self, size: dict[str, int], theme: str) -> None:
        """Change the window and the colours."""
        self.theme = theme
        self.page.set_viewport_size(size)  # type: ignore[arg-type]
        self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        self._paint()

    def _paint(self) -> None:
        self.page.evaluate(f"document.documentElement.classList.toggle('dark', {str(self.theme == 'dark').lower()})")

    def picture(self, name: str) -> None:
        if folder := os.environ.get("LUNA_SCREENSHOTS"):
            self.page.add_style_tag(content=BLUR)
            whole = self.page.viewport_size == PHONE  # bars at the lower edge hide a part of a longer picture
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)

    def problems(self, *, axe: bool = True) -> list[str]:
        """Texts that are clipped, pictures without a text, and serious findings of axe-core."""
        found = [each for each in self.page.evaluate(CLIPPED) if "leaflet" not in each]
        found += self.page.eval_on_selector_all(
            "img:not([alt]), img[alt='']", "all => all.map(e => 'no alt: ' + e.src)"
        )
        return found + (self.findings() if axe else [])

    def findings(self, rules: tuple[str, ...] = ()) -> list[str]:
        """Serious findings of axe-core within the page's content; `rules`: of these only."""
        if not self.page.evaluate("() => typeof axe !== 'undefined'"):
            self.page.evaluate(AXE)
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        violations = self.page.evaluate("options => axe.run('#content', options)", options)["violations"]
        return [
            f"{each['id']}: {node['target']} {node['failureSummary'][:200]}"
            for each in violations
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]


@pytest.mark.timeout(400)
def test_every_page_in_a_browser(request: pytest.FixtureRequest) -> None:
    """Each page is loaded once, in light colours, then seen in dark ones and on a phone."""
    site = make_site(PEOPLE if os.environ.get("LUNA_SCREENSHOTS") else HOSTILE, "museum@luna.test")
    addresses = pages(site)
    faults = []
    with platform(threads=8, websockets=True) as port:
        visit = Visit(request.getfixturevalue("browser"), port, DESKTOP, "light")
        for name, address in addresses.items():
            visit.size(DESKTOP, "light")
            visit.see(address)
            faults += [f"light {name}: {each}" for each in visit.problems(axe=name not in SAME_FORM)]
            visit.picture(f"light-{name}")
            visit.size(DESKTOP, "dark")
            if name not in SAME_FORM:
                faults += [f"dark {name}: {each}" for each in visit.findings(COLOURS)]
            visit.picture(f"dark-{name}")
            visit.size(PHONE, "light")
            faults += [f"phone {name}: {each}" for each in visit.page.evaluate(CLIPPED) if "leaflet" not in each]
            visit.picture(f"phone-{name}")
        visit.size(DESKTOP, "light")
        visit.see(addresses["events"])
        visit.page.locator("a", has_text="Filters").first.click()
        visit.page.fill("input[name=tag]", "known", timeout=5000)
        visit.picture("light-filters")
        visit.page.press("input[name=tag]", "Enter")
        visit.page.wait_for_url("**/events/event/?*tag=known*")
        assert visit.page.locator("#result_list tbody tr.data-row").count() == 8  # of 12 events
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement !== document.body")
    assert "\n".join(faults) == ""
    assert [fault for fault in visit.faults if "/admin/missing/" not in fault] == []
