"""Roles of the admin site: each role on every page and action of it."""

import io
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from PIL import Image

from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.roles import Role
from apps.accounts.services import account_close, account_delete, account_update
from apps.common.times import utc_now
from apps.configurator import services as settings_services
from apps.configurator.models import Change, Limitation, Setting, SettingGroup
from apps.configurator.services import LimitationDraft, SettingDraft
from apps.events.models import Event
from apps.faces.models import Face, List
from apps.faces.services import face_create, list_create
from apps.faces.types import FaceDraft
from apps.handlers.models import Handler, Verifier
from apps.imagestore.buckets import bucket_create
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.services import object_store
from apps.people.models import Person
from apps.sender.models import Callback
from apps.tasks.choices import TaskKind
from apps.tasks.models import Schedule, Task, TaskError
from apps.tasks.schedules.services import ScheduleDraft, schedule_create
from apps.tasks.types.registry import task_types
from tests.factories import PASSWORD, header_client, make_account, make_callback, make_event
from tests.tasks import make_task

pytestmark = pytest.mark.django_db
OURS = [
    Account, Token, AuditRecord, Face, List, Event, Person, Handler, Verifier, Callback, StoredObject, StoredBucket,
    Task, TaskError, Schedule, Setting, Limitation, SettingGroup, Change,
]  # fmt: skip
VIEW, ADD, CHANGE, DELETE = "view", "add", "change", "delete"
# Actions of each page for a user with all permissions.
OFFERED = {
    Account: {VIEW, ADD, CHANGE, DELETE},
    Token: {VIEW, DELETE},
    AuditRecord: {VIEW},
    Face: {VIEW, CHANGE, DELETE},
    List: {VIEW, ADD, CHANGE, DELETE},
    Event: {VIEW},
    Person: {VIEW, CHANGE},
    Handler: {VIEW, ADD, DELETE},
    Callback: {VIEW, DELETE},
    Verifier: {VIEW, ADD, DELETE},
    StoredObject: {VIEW, DELETE},
    StoredBucket: {VIEW, DELETE},
    Task: {VIEW, ADD, DELETE},
    TaskError: {VIEW, DELETE},
    Schedule: {VIEW, ADD, CHANGE, DELETE},
    Setting: {VIEW, ADD, CHANGE, DELETE},
    Limitation: {VIEW, ADD, CHANGE, DELETE},
    SettingGroup: {VIEW, ADD, CHANGE, DELETE},
    Change: {VIEW},
}
ALLOWED: dict[str, dict[Any, set[str]]] = {
    "operator": {
        Face: {VIEW, CHANGE, DELETE},
        List: {VIEW, ADD, CHANGE, DELETE},
        Event: {VIEW},
        Person: {VIEW, CHANGE},
        StoredObject: {VIEW},
    },
    "auditor": {AuditRecord: {VIEW}},
    "administrator": OFFERED,
    "type admin": OFFERED,
    "nobody": {},
}


def login_of(role: str) -> Account:
    if role == "type admin":
        return make_account(AccountType.ADMIN)
    account = make_account()
    if role != "nobody":
        account_update(account=account, roles=[Role(role)])
    return account


def site_of(role: str) -> Client:
    client = Client()
    client.force_login(login_of(role))
    return client


@pytest.fixture
def rows(db: None) -> dict[Any, Any]:
    """One row for each page, of some account."""
    owner = make_account()
    jpeg = io.BytesIO()
    Image.new("RGB", (250, 250), "teal").save(jpeg, "JPEG")
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=owner.pk, data=jpeg.getvalue(), content_type="image/jpeg"
    )
    return {
        Account: owner,
        Token: Token.objects.create(account=owner),
        AuditRecord: AuditRecord.objects.earliest("pk"),
        Face: face_create(account_id=owner.pk, draft=FaceDraft()),
        List: list_create(account_id=owner.pk),
        Event: make_event(owner),
        Person: Person.objects.create(account=owner),
        Handler: Handler.objects.create(account=owner, policies={}),
        Callback: make_callback(owner),
        Verifier: Verifier.objects.create(account=owner, policies={}),
        StoredObject: stored,
        StoredBucket: bucket_create(name="an-own-bucket"),
        **task_rows(owner),
        **configurator_rows(),
    }


def configurator_rows() -> dict[Any, Any]:
    draft = LimitationDraft(name="QUEUE", schema={}, services=[], default_value=1)
    return {
        Limitation: settings_services.limitation_create(draft=draft),
        Setting: settings_services.setting_create(draft=SettingDraft(name="LUNA_PAGING", value={}, tags=["desk"])),
        SettingGroup: settings_services.group_create(name="desk"),
        Change: Change.objects.earliest("pk"),
    }


def task_rows(owner: Account) -> dict[Any, Any]:
    kind, content = task_types()[TaskKind.CLUSTERING], {"objects_type": "faces"}
    task = make_task(kind, content, account_id=owner.pk)
    draft = ScheduleDraft(task_type=kind, content=content, trigger="0 3 * * *")
    return {
        Task: task,
        TaskError: TaskError.objects.create(task=task, error_code=0, error_time=utc_now()),
        Schedule: schedule_create(account_id=owner.pk, draft=draft, actor=Actor()),
    }


def page(model: Any, name: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


def requests(model: Any, row: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """What is needed, and the request: method, address, form."""
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    yield VIEW, "get", page(model, "changelist"), {}
    yield VIEW, "get", page(model, "change", row.pk), {}
    yield VIEW, "get", page(model, "history", row.pk), {}
    yield ADD, "get", page(model, "add"), {}
    yield ADD, "post", page(model, "add"), {}
    yield CHANGE, "post", page(model, "change", row.pk), {}
    yield DELETE, "get", page(model, "delete", row.pk), {}
    yield DELETE, "action", page(model, "changelist"), chosen
    yield DELETE, "post", page(model, "delete", row.pk), {"post": "yes", "login": str(row)}


@pytest.mark.parametrize("role", ALLOWED)
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_page_and_action(rows: dict[Any, Any], role: str, model: Any) -> None:
    site, row = site_of(role), rows[model]
    allowed = ALLOWED[role].get(model, set())
    for needed, method, address, form in requests(model, row):
        if method == "action" and needed in allowed:
            continue  # the row is needed by the request after it
        answer = site.get(address, form, follow=role != "nobody") if method == "get" else site.post(address, form)
        if role == "nobody":
            expected = {302}  # to the login
        elif needed in allowed:
            expected = {200} if method == "get" else {200, 302}
        elif method == "action" and VIEW in allowed:
            expected = {200, 302}  # the list is shown, nothing is done
        else:
            expected = {403}
        assert answer.status_code in expected, (needed, method, address, answer.status_code)
        there = model._base_manager.filter(pk=row.pk, **({"is_active": True} if model is Account else {})).exists()
        assert there or (method == "post" and needed == DELETE and needed in allowed), (method, address)


def test_every_page_of_the_site_is_tested() -> None:
    """Packages have no pages: those of django-celery-beat are hidden."""
    assert set(admin.site._registry) == set(OURS)


@pytest.mark.parametrize("role", ALLOWED)
def test_pages_without_a_model(rows: dict[Any, Any], role: str) -> None:
    site = site_of(role)
    everything = role in ("administrator", "type admin")
    stored = rows[StoredObject]
    thumbnail = reverse("admin:imagestore_thumbnail", args=(stored.bucket, stored.object_id))
    expected = {
        reverse("descriptor_versions"): everything,
        reverse("information"): everything,
        reverse("information_download"): everything,
        reverse("admin:configurator_setting_load"): everything,
        reverse("admin:configurator_setting_dump") + "?file=all": everything,
        reverse("admin:configurator_setting_processes"): everything,
        reverse("admin:configurator_arrivals"): everything,
        reverse("admin:configurator_undo", args=(rows[Change].pk,)): everything,
        thumbnail: everything or role == "operator",
        reverse("admin:index"): True,
        reverse("admin:password_change"): True,
    }
    for address, allowed in expected.items():
        status = site.get(address).status_code
        assert status == (302 if role == "nobody" else 200 if allowed else 403), address
    assert AuditRecord.objects.filter(action="view").exists() is expected[thumbnail]


@pytest.mark.parametrize("role", ALLOWED)
def test_account_choices_are_for_those_who_see_accounts(rows: dict[Any, Any], role: str) -> None:
    """The autocompletion of a filter lists logins."""
    site = site_of(role)
    query = {"app_label": "faces", "model_name": "face", "field_name": "account", "term": ""}
    answer = site.get(reverse("admin:autocomplete"), query)
    shown = role in ("administrator", "type admin")
    assert answer.status_code == (302 if role == "nobody" else 200 if shown else 403)
    if role == "operator":
        lists = site.get(page(Face, "changelist")).content.decode()
        choices = 'data-field-name="account"'
        assert choices not in lists
        assert choices in site_of("administrator").get(page(Face, "changelist")).content.decode()
        made = site.post(page(List, "add"), {"user_data": "guests", "account": str(rows[Account].pk)})
        assert made.status_code == 302
        assert List.objects.for_account(rows[Account].pk).filter(user_data="guests").count() == 1


@pytest.mark.parametrize(
    ("role", "links"),
    [
        (
            "operator",
            {
                "Overview",
                "Try photographs",
                "Enrol photographs",
                "Match",
                "Live wall",
                "Search events",
                "Trace a person",
                "Faces",
                "Lists",
                "Events",
                "Unknown people",
                "Stored pictures",
            },
        ),
        ("auditor", {"Overview", "Audit log"}),
        ("administrator", {"Overview", "Faces", "Handlers", "Descriptor versions", "Accounts", "Audit log"}),
    ],
)
def test_the_sidebar_shows_what_may_be_opened(role: str, links: set[str]) -> None:
    site = site_of(role)
    titles = {
        item["title"]
        for group in site.get("/admin/").context["sidebar_navigation"]
        for item in group["items"]
        if item["has_permission"]
    }
    assert titles >= links
    assert role == "administrator" or titles == links


def test_a_role_is_given_and_taken_by_the_page(rows: dict[Any, Any]) -> None:
    site, owner = site_of("type admin"), rows[Account]
    form = {"login": owner.login, "account_type": "user", "description": "", "is_active": "on", "time_zone": "UTC"}
    url = page(Account, "change", owner.pk)
    auditor = Group.objects.get(name=Role.AUDITOR)
    AuditRecord.objects.all().delete()

    assert site.post(url, {**form, "groups": [auditor.pk]}).status_code == 302
    assert Account.objects.get(pk=owner.pk).is_staff
    assert Account.objects.get(pk=owner.pk).has_perm("accounts.view_auditrecord")
    assert site.post(url, form).status_code == 302
    assert not Account.objects.get(pk=owner.pk).is_staff
    assert list(AuditRecord.objects.values_list("action", "object_id")) == [("update", str(owner.pk))] * 2


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_nobody_gives_himself_a_role(role: str) -> None:
    login = login_of(role)
    site = Client()
    site.force_login(login)
    group = Group.objects.get(name=Role.ADMINISTRATOR)
    form = {"login": login.login, "account_type": "admin", "groups": [group.pk], "is_active": "on", "time_zone": "UTC"}
    assert site.post(page(Account, "change", login.pk), form).status_code == 403
    assert site.post(f"/admin/accounts/account/{login.pk}/password/", {}).status_code == 403
    assert list(login.groups.values_list("name", flat=True)) == [role]


def test_a_closed_account_has_no_role() -> None:
    login = login_of("operator")
    site = Client()
    site.force_login(login)
    assert site.get(page(Face, "changelist")).status_code == 200
    account_close(account=login)
    assert site.get(page(Face, "changelist")).status_code == 302


@pytest.mark.usefixtures("account_header")
def test_roles_say_nothing_of_the_api() -> None:
    login, other = login_of("administrator"), make_account()
    face = face_create(account_id=other.pk, draft=FaceDraft())
    client = header_client(login)
    assert client.get(f"/6/faces/{face.face_id}").status_code == 404
    assert client.get("/6/accounts").status_code == 403


def test_a_login_changes_its_own_password() -> None:
    login = login_of("auditor")
    site = Client()
    assert site.login(username=login.login, password=PASSWORD)
    AuditRecord.objects.all().delete()
    new = {"new_password1": "another one", "new_password2": "another one"}
    assert site.post("/admin/password_change/", {"old_password": "wrong", **new}).status_code == 200
    assert not AuditRecord.objects.exists()
    assert site.post("/admin/password_change/", {"old_password": PASSWORD, **new}).status_code == 302

    login.refresh_from_db()
    assert login.check_password("another one")
    record = AuditRecord.objects.get()
    assert (record.action, record.object_id, record.account_id, record.remote_address) == (
        "update", str(login.pk), login.pk, "127.0.0.1"
    )  # fmt: skip
    assert site.get("/admin/").status_code == 200, "the session goes on"


def test_a_password_is_not_taken_away(rows: dict[Any, Any]) -> None:
    owner = rows[Account]
    form = {"usable_password": "false", "unset-password": "1"}
    assert site_of("type admin").post(f"/admin/accounts/account/{owner.pk}/password/", form).status_code == 200
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_migrate_gives_the_roles_back_what_the_table_says() -> None:
    auditor, operator = (Group.objects.get(name=role) for role in (Role.AUDITOR, Role.OPERATOR))
    auditor.permissions.set(operator.permissions.all())
    operator.delete()
    call_command("migrate", verbosity=0)
    assert list(auditor.permissions.values_list("codename", flat=True)) == ["view_auditrecord"]
    assert Group.objects.get(name=Role.OPERATOR).permissions.count() == 13


def test_an_unknown_row_is_no_error(rows: dict[Any, Any]) -> None:
    site = site_of("operator")
    assert site.get(reverse("admin:imagestore_thumbnail", args=(Bucket.FACE_SAMPLES, uuid4()))).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_an_account_with_a_role_can_be_deleted() -> None:
    login = login_of("operator")
    account_delete(account=login)
    assert not Account.objects.filter(pk=login.pk).exists()
    assert not Group.objects.filter(user=login.pk).exists()
