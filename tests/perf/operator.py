"""The way of an operator in a real browser: photographs enrolled and tried, a person found on the
live wall and traced, a visitor named.

Needs Chromium (Debian: `apt install chromium`). Photographs are variants of one portrait, because the work does not
depend on who they show; the broken ones are cut files.
"""

import io
import os
import shutil
import time
from typing import Any
from uuid import uuid4

import httpx
from django.db import connections
from PIL import Image, ImageEnhance
from playwright.sync_api import Page, sync_playwright
from skimage import data

from apps.accounts.roles import Role
from apps.accounts.services import account_create, account_delete, account_update
from apps.people.models import Person
from apps.people.proposals import people_propose
from tests.perf.events import PASSWORD, serve
from tests.perf.report import Row

ENROLLED, TRIED, BROKEN, VISITS = 30, 200, 30, 6
GOAL_S = 60.0
PATIENCE_MS = 600_000


def bench() -> list[Row]:
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the event loop of Playwright would forbid queries in this thread
    operator = account_create(login=f"{uuid4().hex}@example.com", password=PASSWORD)
    account_update(account=operator, roles=[Role.OPERATOR])
    process, origin = serve()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
            try:
                page = browser.new_page()
                _log_in(page, origin, operator.login)
                return _way(page, origin, operator)
            finally:
                browser.close()
    finally:
        process.terminate()
        process.wait(30)
        account_delete(account=operator)
        connections.close_all()


def _way(page: Page, origin: str, operator: Any) -> list[Row]:
    rows = []

    def timed(name: str, started: float, goal: str = f"< {GOAL_S:.0f} s") -> None:
        rows.append(Row(f"operator: {name}", time.perf_counter() - started, "s", goal=goal))

    known = [(f"person {number:02}.jpg", variant(number)) for number in range(ENROLLED)]
    page.goto(f"{origin}/admin/workbench/enrol/")
    started = time.perf_counter()
    drop(page, known)
    assert page.locator(".wb-enrolled").count() == ENROLLED
    timed(f"{ENROLLED} photographs enrolled", started)

    page.goto(f"{origin}/admin/workbench/try/")
    started = time.perf_counter()
    drop(page, [("who is this.jpg", variant(7))])
    page.locator(".wb-matches table a").first.click()
    page.locator("#sightings-title").wait_for()
    timed("who is this, until the page of the face", started)

    seen = page.url
    page.goto(f"{origin}/admin/workbench/wall/")
    page.wait_for_function("document.getElementById('wall-state').textContent === 'live'")
    started = time.perf_counter()
    _visits(origin, operator.login)
    page.wait_for_function("n => document.querySelectorAll('#wall li').length >= n", arg=VISITS, timeout=PATIENCE_MS)
    timed(f"{VISITS} events generated, until the wall shows them", started)

    started = time.perf_counter()
    page.locator("#wall li a", has_text="Trace").first.click()
    page.locator(".wb-cards").wait_for()
    assert page.locator(".wb-cards li").count() >= VISITS
    timed("the person of the wall traced", started)

    page.goto(seen)
    started = time.perf_counter()
    page.reload()
    assert page.locator(".luna-member >> text=gate").count() > 0
    timed("sightings of the person", started)

    people_propose(account_id=operator.pk, filters={}, threshold=0.9)
    group = Person.objects.for_account(operator.pk).latest("event_count")
    page.goto(f"{origin}/admin/people/person/{group.pk}/change/")
    started = time.perf_counter()
    page.fill("#id_name", "Ada Lovelace")
    page.click("button[value=name]")
    page.locator("h2", has_text="Ada Lovelace").first.wait_for()
    timed("visitor named from a group", started)

    page.goto(f"{origin}/admin/workbench/try/")
    photographs = [(f"{number:03}.jpg", variant(number)) for number in range(TRIED)]
    for place in range(0, TRIED, TRIED // BROKEN):
        name, content = photographs[place]
        if sum(len(each) < 1000 for _, each in photographs) < BROKEN:
            photographs[place] = (name, content[:500])
    page.uncheck("[name=detailed]")
    started = time.perf_counter()
    drop(page, photographs)
    assert page.locator(".wb-refusal").count() == BROKEN
    assert page.locator(".wb-person").count() == TRIED - BROKEN
    timed(f"{TRIED} photographs tried, {BROKEN} of them broken", started, "each refused one named")
    return rows


def variant(number: int) -> bytes:
    """A portrait of 512 px with its own brightness and crop."""
    portrait = Image.fromarray(data.astronaut())
    shift = number % 20
    portrait = portrait.crop((shift, shift // 2, 512 - shift, 512 - shift)).resize((512, 512))
    jpeg = io.BytesIO()
    ImageEnhance.Brightness(portrait).enhance(0.9 + 0.002 * (number % 100)).save(jpeg, "JPEG")
    return jpeg.getvalue()


def drop(page: Page, photographs: list[tuple[str, bytes]]) -> None:
    files: Any = [{"name": name, "mimeType": "image/jpeg", "buffer": content} for name, content in photographs]
    page.set_input_files("#id_photographs", files, timeout=PATIENCE_MS)
    page.wait_for_function(
        "n => document.querySelector('progress').value === n", arg=len(photographs), timeout=PATIENCE_MS
    )


def _visits(origin: str, login: str) -> None:
    """Events of the person at a gate, matched with the enrolled faces."""
    with httpx.Client(base_url=origin, auth=(login, PASSWORD), timeout=60) as client:
        policies = {"match_policy": [{"label": "all", "candidates": {"origin": "faces"}}]}
        handler = client.post("/6/handlers", json={"policies": policies}).raise_for_status().json()["url"]
        for _ in range(VISITS):
            headers = {"Content-Type": "image/jpeg"}
            query = {"source": "gate"}
            client.post(f"{handler}/events", params=query, content=variant(7), headers=headers).raise_for_status()


def _log_in(page: Page, origin: str, login: str) -> None:
    page.goto(f"{origin}/admin/login/")
    page.fill("input[name=username]", login)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit], input[type=submit]")
    page.wait_for_url(f"{origin}/admin/")


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError("Chromium is not installed (Debian: apt install chromium)")
    return found
