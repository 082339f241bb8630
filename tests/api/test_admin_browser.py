"""The admin site in a real browser: no JavaScript errors, nothing clipped on a phone, texts of clients stay texts.

`LUNA_SCREENSHOTS=<folder> pytest tests/api/test_admin_browser.py` also writes a picture of each page, with blurred
faces.
"""

import io
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from PIL import Image
from playwright.sync_api import Browser, Dialog, Page, sync_playwright
from skimage import data

from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.roles import Role
from apps.accounts.services import account_create, account_update
from apps.common.times import utc_now
from apps.events.models import Event
from apps.faces.models import Face, List
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.handlers.models import Handler, Verifier
from apps.imagestore.buckets import bucket_create
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.services import object_store
from apps.people.models import Person, PersonDecision, PersonEvent
from apps.people.rows import people_refresh
from apps.sender.models import Callback
from apps.sender.targets import Webhook
from apps.tasks.choices import UNFINISHED, TaskKind, TaskStatus
from apps.tasks.models import Schedule, Subtask, Task, TaskError
from apps.tasks.schedules.services import ScheduleDraft, schedule_create
from apps.tasks.types.registry import task_types
from tests.factories import PASSWORD, make_callback, make_event, token_client
from tests.platform import platform

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:7 }}", "'-alert(1)-'")
PEOPLE = ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Emmy Noether")
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
BLUR = ".luna-thumbnail { filter: blur(7px); }"
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


def _sample(owner: Account, number: int) -> Any:
    jpeg = io.BytesIO()
    face = Image.fromarray(data.astronaut()).crop((150 + 8 * number, 0, 300 + 8 * number, 150)).resize((250, 250))
    face.save(jpeg, "JPEG")
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=owner.pk, data=jpeg.getvalue(), content_type="image/jpeg"
    )
    return stored.object_id


def make_rows(names: tuple[str, ...], login: str) -> Account:
    """Return an administrator of a site with rows of every kind."""
    admin = account_create(login="admin@luna.test", password=PASSWORD, account_type=AccountType.ADMIN)
    owner = account_create(login=login, password=PASSWORD, description=names[0])
    account_update(account=account_create(login="guard@luna.test", password=PASSWORD), roles=[Role.OPERATOR])
    bucket_create(name="an-own-bucket", ttl_days=7)
    staff = list_create(account_id=owner.pk, user_data=names[1])
    handler = Handler.objects.create(
        account=owner,
        description=names[2],
        policies={"match_policy": [{"label": names[1], "candidates": {"lists": [str(staff.list_id)]}, "limit": 3}]},
    )
    Verifier.objects.create(account=owner, description=names[2], policies={"verification_threshold": 0.75})
    token_client(owner, face=["view", "creation"], event=["view"], emit_events={"allowed": True})
    make_callback(owner, Webhook(url=f"https://{'receiver.' * 12}test/{names[1]}"))
    faces, samples = [], []
    for number, name in enumerate(names):
        samples.append(_sample(owner, number))
        attribute = AttributeData(basic=BasicData(age=31 + number, gender=number % 2), basic_samples=(samples[-1],))
        draft = FaceDraft(user_data=name, external_id=f"E-{1001 + number}", lists=[staff.list_id], attribute=attribute)
        faces.append(face_create(account_id=owner.pk, draft=draft))
    for number in range(12):
        known = number % len(names)
        others = [faces[(known + step) % len(faces)] for step in range(3)]
        matches = [
            {
                "face": {"face_id": str(face.face_id), "user_data": face.user_data, "avatar": ""},
                "similarity": 0.97 - step * 0.31,
            }
            for step, face in enumerate(others)
        ]
        make_event(
            owner,
            create_time=utc_now() - timedelta(minutes=7 * number),
            source=("gate north", "lobby", names[3])[number % 3],
            user_data=names[known],
            external_id=f"E-{1001 + known}",
            gender=known % 2,
            age=31 + known,
            emotion=4 + number % 2,
            mask=1,
            liveness=1,
            tags=("known", names[1][:36]) if number % 3 else (),
            meta={"camera": {"name": names[2], "zoom": 1.5}},
            handler_id=handler.handler_id,
            face_id=faces[known].face_id,
            attach_result=(staff.list_id,),
            top_matching_candidates_label=names[1][:36],
            top_similar_object_id=faces[known].face_id,
            top_similar_object_type=0,
            top_similar_object_similarity=0.97,
            match_result=[{"label": names[1][:36], "candidates": matches}],
            face_detections=[{"sample_id": str(samples[known]), "detection": {"rect": {"x": 12, "y": 7}}}],
        )
    person = Person.objects.create(account=owner, name=names[1][:128], decided=True)
    events = Event.objects.for_account(owner.pk).values_list("event_id", flat=True)
    PersonEvent.objects.bulk_create(PersonEvent(person=person, event_id=each) for each in events)
    people_refresh(owner.pk)
    PersonDecision.objects.create(account=owner, kind="name", people=[person.pk], before={"people": [], "members": []})
    make_tasks(owner, names)
    return admin


def make_tasks(owner: Account, names: tuple[str, ...]) -> None:
    """Create tasks of every status, with an error and a schedule."""
    now, content = utc_now(), {"objects_type": "events", "filters": {"user_data": names[0]}}
    for number, status in enumerate(TaskStatus):
        task = Task.objects.create(
            account=owner,
            task_type=TaskKind(number + 1),
            task_status=status,
            create_time=now - timedelta(minutes=9 * number),
            last_update_time=now,
            end_time=None if status in UNFINISHED else now,
            content=content,
            description=names[number % len(names)],
            count_task_parts_done=1200 * number,
            count_task_parts_all=9000,
            count_errors=number,
        )
        Subtask.objects.create(task=task, subtask_status=status, create_time=now, parts_all=9000)
    TaskError.objects.create(
        task=task, error_code=22002, description=names[1], detail=names[1] * 9, additional_info=names[2], error_time=now
    )
    draft = ScheduleDraft(
        task_type=task_types()[TaskKind.CLUSTERING], content=content, trigger="0 9 1,15 * 1", description=names[3]
    )
    schedule_create(account_id=owner.pk, draft=draft, actor=Actor())


def addresses() -> dict[str, str]:
    """Return the pages to visit by name."""
    models = (
        Account,
        Token,
        AuditRecord,
        Face,
        List,
        Event,
        Person,
        Handler,
        Verifier,
        Callback,
        StoredObject,
        StoredBucket,
        Task,
        TaskError,
        Schedule,
    )
    found = {
        "overview": "/admin/",
        "versions": "/admin/descriptor-versions/",
        "info": "/admin/information/",
        "missing": "/admin/missing/",
    }
    for model in models:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        row = model._base_manager.order_by("pk").last()
        found[f"{model._meta.model_name}s"] = reverse(f"admin:{name}_changelist")
        found[str(model._meta.model_name)] = reverse(f"admin:{name}_change", args=(row.pk,))
    owner = Account.objects.exclude(description="").get()
    found["account-delete"] = reverse("admin:accounts_account_delete", args=(owner.pk,))
    found["face-delete"] = reverse("admin:faces_face_delete", args=(Face.everything.first().pk,))
    found["account-add"] = reverse("admin:accounts_account_add")
    found["task-add"] = reverse("admin:tasks_task_add")
    found["schedule-add"] = reverse("admin:tasks_schedule_add")
    found["information"] = reverse("information")
    found["task-gc"] = found["task-add"] + "?type=gc"
    found["task-extraction"] = found["task-add"] + "?type=additional_extract"
    found["schedule-gc"] = found["schedule-add"] + "?type=gc"
    found["list-add"] = reverse("admin:faces_list_add")
    found["password"] = "/admin/password_change/"
    found["pictures-line"] = reverse("admin:accounts_auditrecord_change", args=(_pictures_line(owner).pk,))
    found["events-found"] = f"{found['events']}?q=gate&gender__exact=0"
    return found


def _pictures_line(owner: Account) -> AuditRecord:
    members = [str(row.object_id) for row in StoredObject.objects.for_account(owner.pk)]
    return AuditRecord.objects.create(
        action="view", object_type="pictures", object_id="faces", members=members, request_id="-", account_id=owner.pk
    )


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
        self.page.fill("input[name=username]", "admin@luna.test")
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit], input[type=submit]")
        self.page.wait_for_url(f"{self.base}/admin/")

    def _dialog(self, dialog: Dialog) -> None:
        self._fault(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _fault(self, text: str) -> None:
        self.faults.append(f"{self.page.url}: {text}")

    def see(self, address: str) -> None:
        self.page.goto(f"{self.base}{address}", wait_until="networkidle")
        self.page.evaluate(f"document.documentElement.classList.toggle('dark', {str(self.theme == 'dark').lower()})")

    def picture(self, name: str) -> None:
        if folder := os.environ.get("LUNA_SCREENSHOTS"):
            self.page.add_style_tag(content=BLUR)
            whole = self.page.viewport_size == PHONE  # bars at the lower edge hide a part of a longer picture
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("size", "theme"),
    [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")],
    ids=["light", "dark", "phone"],
)
def test_every_page_in_a_browser(request: pytest.FixtureRequest, size: dict[str, int], theme: str) -> None:
    names = PEOPLE if os.environ.get("LUNA_SCREENSHOTS") else HOSTILE
    make_rows(names, "museum@luna.test")
    pages = addresses()
    kind = request.node.callspec.id
    with platform(threads=8) as port:
        browser = request.getfixturevalue("browser")
        visit = Visit(browser, port, size, theme)
        clipped, unnamed = {}, {}
        for name, address in pages.items():
            visit.see(address)
            if found := visit.page.evaluate(CLIPPED):
                clipped[name] = found
            if found := visit.page.eval_on_selector_all("img:not([alt]), img[alt='']", "all => all.map(e => e.src)"):
                unnamed[name] = found
            visit.picture(f"{kind}-{name}")
        visit.see(pages["events"])
        visit.page.locator("a", has_text="Filters").first.click()
        visit.page.fill("input[name=tag]", "known", timeout=5000)
        visit.picture(f"{kind}-filters")
        visit.page.press("input[name=tag]", "Enter")
        visit.page.wait_for_url("**/events/event/?*tag=known*")
        shown = visit.page.locator("#result_list tbody tr.data-row").count()
    assert [fault for fault in visit.faults if "/admin/missing/" not in fault] == []
    assert shown == 8  # of 12 events
    assert (unnamed, clipped) == ({}, {})
