"""Pages of events, matching and handlers in a real browser: a live wall, a map, forms, hostile texts, a phone.

`LUNA_SCREENSHOTS=<folder>` also writes a picture of each page, with blurred faces.
"""

import os
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.urls import reverse

from apps.accounts.choices import AccountType
from apps.accounts.services import account_create
from apps.common.times import utc_now
from apps.events.models import Event
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, FaceDraft
from apps.handlers.models import Handler, Verifier
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from tests.api.handlers.helpers import astronaut
from tests.api.test_admin_browser import DESKTOP, PHONE, Visit, browser, pytestmark
from tests.factories import PASSWORD, make_event
from tests.platform import platform
from tests.site import ADMIN, HOSTILE, PEOPLE, make_sample, vector

__all__ = ["browser", "pytestmark"]


def rows(names: tuple[str, ...]) -> dict[str, Any]:
    """Return an operator's account with a trail, faces, a handler and a verifier."""
    owner = account_create(login=ADMIN, password=PASSWORD, account_type=AccountType.ADMIN)
    staff = list_create(account_id=owner.pk, user_data=names[1])
    faces, samples = [], []
    for number, name in enumerate(names):
        samples.append(make_sample(owner, number))
        attribute = AttributeData(descriptors=(vector(0.1 * number),), descriptor_samples=(samples[-1],))
        draft = FaceDraft(
            user_data=name, lists=[staff.list_id], attribute=attribute, avatar=f"/6/samples/faces/{samples[-1]}"
        )
        faces.append(face_create(account_id=owner.pk, draft=draft))
    image = object_store(bucket=Bucket.IMAGES, account_id=owner.pk, data=astronaut(), content_type="image/jpeg")
    rect = {"x": 170, "y": 60, "width": 110, "height": 140}
    for number in range(7):
        make_event(
            owner,
            vector(0.02 * number),
            create_time=utc_now() - timedelta(minutes=70 - 9 * number),
            source=("gate north", "lobby", names[3])[number % 3],
            user_data=names[number % 4],
            tags=(names[1][:36],),
            gender=0,
            age=31,
            latitude=47.55 + 0.002 * number,
            longitude=7.59 + 0.003 * (number % 3),
            face_id=faces[0].face_id,
            top_matching_candidates_label=names[1][:36],
            top_similar_object_id=faces[0].face_id,
            top_similar_object_type=0,
            top_similar_object_similarity=0.95,
            face_detections=[
                {
                    "sample_id": str(samples[0]),
                    "detection": {"rect": rect},
                    "image_origin": f"/6/images/{image.object_id}",
                }
            ],
        )
    policies = {
        "detect_policy": {"multiface_policy": 1, "yaw_threshold": 40},
        "extract_policy": {"extract_basic_attributes": 1},
        "match_policy": [{"label": names[1][:36], "candidates": {"list_id": str(staff.list_id)}, "threshold": 0.8}],
        "conditional_tags_policy": [{"tag": names[1][:36], "filters": {"age__gte": 18, "gender": [0]}}],
        "storage_policy": {
            "face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": str(staff.list_id)}]},
            "callbacks": [{"type": "http", "url": "https://receiver.test/in"}],
        },
    }
    handler = Handler.objects.create(account=owner, description=names[2][:128], policies=policies)
    verifier = Verifier.objects.create(
        account=owner, description=names[2][:128], policies={"verification_threshold": 0.9}
    )
    return {"owner": owner, "handler": handler, "verifier": verifier, "face": faces[0]}


def addresses(made: dict[str, Any]) -> dict[str, str]:
    """Return the pages to visit by name."""
    event = Event.everything.order_by("create_time").first()
    return {
        "trace": reverse("workbench:trace") + f"?event={event.event_id}",
        "match": reverse("workbench:match") + f"?face={made['face'].face_id}",
        "handler-edit": reverse("workbench:handler_edit", args=(made["handler"].pk,)),
        "wall": reverse("workbench:wall"),
    }


@pytest.mark.timeout(300)
def test_operators_at_work(request: pytest.FixtureRequest) -> None:
    made = rows(PEOPLE if os.environ.get("LUNA_SCREENSHOTS") else HOSTILE)
    photograph: Any = {
        "name": f"{made['handler'].description[:20]}.jpg",
        "mimeType": "image/jpeg",
        "buffer": astronaut(),
    }
    pages = addresses(made)  # Django allows no query here once the browser runs
    faults: list[str] = []
    with platform(threads=8, websockets=True) as port:
        visit = Visit(request.getfixturevalue("browser"), port, DESKTOP, "light")
        page = visit.page

        def look(name: str) -> None:
            nonlocal faults
            faults += [f"{name}: {each}" for each in visit.problems()]
            visit.picture(f"light-{name}")
            visit.size(PHONE, "dark")
            faults += [f"dark phone {name}: {each}" for each in visit.problems()]
            visit.picture(f"phone-{name}")
            visit.size(DESKTOP, "light")

        visit.see(pages["wall"])
        # The wall is open: a stored handler generates an event, which appears.
        page.wait_for_function("document.getElementById('wall-state').textContent === 'live'")
        url = f"http://127.0.0.1:{port}/6/handlers/{made['handler'].pk}/events?source=gate&user_data=seen"
        login = (ADMIN, PASSWORD)
        sent = httpx.post(url, content=astronaut(), headers={"Content-Type": "image/jpeg"}, auth=login, timeout=60)
        assert sent.status_code == 201
        page.wait_for_selector("#wall li", timeout=15_000)
        assert "seen" in page.inner_text("#wall li")
        page.wait_for_load_state("networkidle")
        look("wall-live")
        page.click("#wall li a >> nth=0")
        page.wait_for_url("**/admin/events/event/*/change/")
        assert page.locator("img.luna-thumbnail").count()
        # The map shows a place for each sighting.
        visit.see(pages["trace"])
        assert page.locator("path.wb-place").count() == 7
        # A trial by the form, without saving.
        visit.see(pages["handler-edit"])
        page.set_input_files("#id_photograph", photograph)
        page.click("button[value=try]")
        page.wait_for_selector("#trial")
        assert page.input_value("#id_description") == made["handler"].description, "Unfold writes names of files"
        look("handler-tried")
        page.fill("[name='policies.match_policy.0.threshold']", "7")
        page.keyboard.press("Enter")  # saves nothing
        page.wait_for_load_state("networkidle")
        page.click("button[value=save]")
        page.wait_for_selector(".luna-error")
        look("handler-wrong")
        page.click("button[value=json]")
        page.wait_for_selector("#id_json")
        look("handler-json")
        # Matching of a photograph.
        visit.see(pages["match"])
        page.set_input_files("#id_photograph", photograph)
        page.fill("[name=threshold]", "0")
        page.click("button[value=match]")
        page.wait_for_selector("#results")
        assert page.locator("#results section").count() == 2
        look("match-results")
    assert visit.faults == []
    assert "\n".join(faults) == ""
