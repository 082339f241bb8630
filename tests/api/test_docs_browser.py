"""The documentation in a real browser: the content security policy blocks nothing that its pages need."""

import pytest
from playwright.sync_api import Browser

from tests.api.test_admin_browser import CHROMIUM, browser  # noqa: F401 - a fixture
from tests.platform import platform

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]


@pytest.mark.timeout(300)
def test_the_pages_of_the_documentation(request: pytest.FixtureRequest) -> None:
    faults: list[str] = []
    with platform(threads=4) as port:
        chromium: Browser = request.getfixturevalue("browser")
        page = chromium.new_page()
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        for path in ("/", "/docs/errors"):
            page.goto(f"http://127.0.0.1:{port}{path}", wait_until="networkidle")
        page.set_viewport_size({"width": 390, "height": 844})
        right_edges = page.eval_on_selector_all("td", "all => all.map(cell => cell.getBoundingClientRect().right)")
        assert max(right_edges) <= 390, "a phone shows every column of the error codes"
        page.set_viewport_size({"width": 1400, "height": 12_000})  # the page draws only operations that are in view
        page.goto(f"http://127.0.0.1:{port}/docs/spec")
        page.locator(".opblock").nth(80).wait_for(timeout=60_000)
        assert faults == []
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
        assert page.evaluate("window.ran") is None, "inline scripts do not run"
    assert len(faults) == 1
    assert "Content Security Policy" in faults[0]
