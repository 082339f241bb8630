"""The pages of the workbench in a real browser: nothing clipped, no console error, no serious finding of axe-core.

`LUNA_SCREENSHOTS=<folder>` also writes a picture of each page, with blurred faces.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Browser

from apps.accounts.models import Account
from apps.common.times import utc_now
from apps.events.models import Event
from apps.faces.models import Face, List
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from apps.people.models import Person
from tests.api.handlers.helpers import astronaut, nobody, sample
from tests.api.test_admin_browser import CHROMIUM, CLIPPED, DESKTOP, HOSTILE, PEOPLE, PHONE, Visit, browser, make_rows
from tests.factories import make_event
from tests.platform import platform

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]
SERIOUS = {"serious", "critical"}
BLUR = ".wb-figure img, .wb-source, .luna-thumbnail { filter: blur(7px); }"


def addresses() -> dict[str, str]:
    faces = list(Face.everything.order_by("pk"))
    event = Event.everything.latest("pk")
    return {
        "try": reverse("workbench:try"),
        "enrol": reverse("workbench:enrol"),
        "face": reverse("workbench:face", args=(faces[0].face_id,)),
        "selection": reverse("workbench:selection") + "?" + "&".join(f"face={each.face_id}" for each in faces),
        "sighting": reverse("workbench:sighting", args=(event.event_id,)),
        "person": reverse("admin:people_person_change", args=(Person.everything.latest("pk").pk,)),
    }


def _with_photograph(owner: Account) -> None:
    """An event of the first face whose source photograph is stored."""
    store: Any = {"account_id": owner.pk, "content_type": "image/jpeg"}
    source = object_store(bucket=Bucket.IMAGES, data=astronaut(), **store)
    crop = object_store(bucket=Bucket.FACE_SAMPLES, data=astronaut(), **store)
    face = Face.objects.for_account(owner.pk).earliest("pk")
    make_event(
        owner,
        source="gate",
        create_time=utc_now(),
        top_similar_object_id=face.face_id,
        top_similar_object_type=0,
        top_similar_object_similarity=0.97,
        face_detections=[
            {
                "sample_id": str(crop.object_id),
                "detection": {"rect": {"x": 177, "y": 62, "width": 97, "height": 130}},
                "image_origin": object_address(Bucket.IMAGES, source.object_id),
            }
        ],
    )


def findings(visit: Visit) -> list[str]:
    """Serious findings of axe-core within the page's content."""
    found = Axe().run(visit.page, context="#content").response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


def picture(visit: Visit, name: str) -> None:
    if folder := os.environ.get("LUNA_SCREENSHOTS"):
        visit.page.add_style_tag(content=BLUR)
        visit.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def drop(visit: Visit, *files: tuple[str, bytes]) -> None:
    """Choose files, and wait for the answer of each."""
    payload: Any = [{"name": name, "mimeType": "image/jpeg", "buffer": data} for name, data in files]
    before = visit.page.locator(".wb-card").count()
    visit.page.set_input_files("#id_photographs", payload)
    visit.page.wait_for_function(
        "n => document.querySelector('progress').value === n", arg=before + len(files), timeout=60_000
    )


@pytest.mark.timeout(300)
def test_the_workbench_in_a_browser(request: pytest.FixtureRequest) -> None:
    names = PEOPLE if os.environ.get("LUNA_SCREENSHOTS") else HOSTILE
    make_rows(names, "museum@luna.test")
    owner = Account.objects.exclude(description="").get()
    _with_photograph(owner)
    staff = str(List.everything.get())
    pages, faults = addresses(), []
    with platform(threads=8) as port:
        browser: Browser = request.getfixturevalue("browser")  # its event loop forbids queries from here on
        for size, theme, kind in ((DESKTOP, "light", "desktop"), (DESKTOP, "dark", "dark"), (PHONE, "light", "phone")):
            visit = Visit(browser, port, size, theme)
            for name, address in pages.items():
                visit.see(address)
                problems = [*visit.page.evaluate(CLIPPED), *findings(visit)]
                faults += [f"{kind} {name}: {each}" for each in problems]
                picture(visit, f"workbench-{kind}-{name}")
            visit.see(pages["try"])
            if kind == "desktop":
                visit.page.select_option("#id_account", str(owner.pk))
                visit.page.locator("form[action$='/account/'] button").click()
                visit.see(pages["enrol"])
                visit.page.select_option("#id_list", label=staff)
                drop(visit, (f"{names[1]}.jpg", astronaut()), (f"{names[0]}.jpg", b"broken"), ("none.jpg", nobody()))
                assert visit.page.locator(".wb-enrolled").count() == 1
                assert visit.page.locator(".wb-refusal").count() == 2
                assert visit.page.input_value("#id_name") == "", "a script of Unfold leaves it alone"
                picture(visit, f"workbench-{kind}-enrolled")
                visit.see(pages["try"])
            drop(visit, (f"{names[1]}.jpg", astronaut()), (f"{names[2]}.jpg", sample(1)))
            visit.page.locator("summary", has_text="Estimations").first.click()
            visit.page.locator("summary", has_text="Enrol").last.click()
            visit.page.wait_for_timeout(200)
            faults += [f"{kind} tried: {each}" for each in [*visit.page.evaluate(CLIPPED), *findings(visit)]]
            picture(visit, f"workbench-{kind}-tried")
            box = visit.page.locator(".wb-figure img").first.evaluate("e => [e.complete, e.naturalWidth]")
            assert box == [True, 512]
            if kind == "desktop":
                form = visit.page.locator("form[data-enrol]").last
                form.locator("input[name=name]").fill("Grace Hopper")
                form.locator("button").click()
                visit.page.locator(".wb-enrolled").wait_for()
            faults += visit.faults
            visit.page.context.close()
    assert "\n".join(faults) == ""
