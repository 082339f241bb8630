"""Every service that deletes or shows, and every page of the admin site, leaves exactly one audit line."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse

import apps
from apps.accounts.auth.principal import Actor
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.services import account_delete, token_delete
from apps.common.descriptors import Descriptor
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.configurator import services as settings_services
from apps.events import services as events
from apps.faces import attributes
from apps.faces import services as faces
from apps.faces.models import Face, List
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.handlers import services as handlers
from apps.handlers.models import Handler, Verifier
from apps.imagestore import buckets
from apps.imagestore import services as imagestore
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.tasks import services as tasks
from apps.tasks.choices import TaskKind
from apps.tasks.models import TaskError
from apps.tasks.schedules import services as schedules
from apps.tasks.types.registry import task_types
from tests.conformance.audit import lines_of
from tests.factories import NOON, make_account, unit_vectors
from tests.tasks import make_task

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@dataclass
class Mine:
    """What one account owns."""

    account: Account

    def face(self) -> UUID:
        data = AttributeData((Descriptor(1001, unit_vectors(1, 128)[0]),), BasicData(age=3))
        return faces.face_create(account_id=self.account.pk, draft=FaceDraft(attribute=data)).face_id

    def list(self) -> UUID:
        return faces.list_create(account_id=self.account.pk).list_id

    def attribute(self) -> UUID:
        data = AttributeData(basic=BasicData(age=3))
        return attributes.attribute_create(account_id=self.account.pk, data=data).attribute_id

    def handler(self) -> UUID:
        found: UUID = Handler.objects.create(account=self.account, policies={}).handler_id
        return found

    def verifier(self) -> UUID:
        found: UUID = Verifier.objects.create(account=self.account, policies={}).verifier_id
        return found

    def image(self, **options: Any) -> UUID:
        data = {"data": b"jpeg", "content_type": "image/jpeg", **options}
        return imagestore.object_store(bucket=Bucket.IMAGES, account_id=self.account.pk, **data).object_id

    def token(self) -> UUID:
        found: UUID = Token.objects.create(account=self.account).pk
        return found

    def task(self) -> int:
        content = {"objects_type": "faces"}
        return make_task(task_types()[TaskKind.CLUSTERING], content, account_id=self.account.pk).task_id

    def task_error(self) -> int:
        values = {"error_code": 0, "description": "", "detail": "", "error_time": utc_now()}
        return TaskError.objects.create(task_id=self.task(), **values).error_id

    def schedule(self) -> int:
        draft = schedules.ScheduleDraft(
            task_type=task_types()[TaskKind.CLUSTERING], content={"objects_type": "faces"}, trigger="0 3 * * *"
        )
        return schedules.schedule_create(account_id=self.account.pk, draft=draft, actor=Actor()).schedule_id

    def bucket(self) -> str:
        return buckets.bucket_create(name="an-empty-one").name

    def limitation(self) -> str:
        draft = settings_services.LimitationDraft(name="QUEUE", schema={}, services=(), default_value=1)
        return settings_services.limitation_create(draft=draft).limitation_name

    def setting(self) -> int:
        draft = settings_services.SettingDraft(name=self.limitation(), value=2, tags=["desk"])
        return settings_services.setting_create(draft=draft).pk

    def setting_group(self) -> str:
        return settings_services.group_create(name="desk").group_name


SERVICES: dict[Callable[..., Any], tuple[str, str, Callable[[Mine], Any]]] = {
    # service: type of the object, argument with its id, function that creates one
    account_delete: ("account", "account", lambda mine: mine.account),
    token_delete: ("token", "token_id", Mine.token),
    faces.face_delete: ("face", "face_id", Mine.face),
    faces.faces_delete: ("face", "face_ids", Mine.face),
    faces.face_attribute_delete: ("face_attribute", "face_id", Mine.face),
    faces.face_descriptors_view: ("face_descriptor", "face_id", Mine.face),
    faces.list_delete: ("list", "list_id", Mine.list),
    faces.lists_delete: ("list", "list_ids", Mine.list),
    attributes.attribute_delete: ("attribute", "attribute_id", Mine.attribute),
    attributes.descriptors_view: ("attribute_descriptor", "attribute_ids", Mine.attribute),
    handlers.handler_delete: ("handler", "handler_id", Mine.handler),
    handlers.verifier_delete: ("verifier", "verifier_id", Mine.verifier),
    imagestore.object_delete: ("image", "object_id", Mine.image),
    imagestore.objects_delete: ("image", "object_ids", Mine.image),
    imagestore.object_view: ("image", "object_id", Mine.image),
    tasks.task_delete: ("task", "task_id", Mine.task),
    tasks.task_error_delete: ("task_error", "error_id", Mine.task_error),
    schedules.schedule_delete: ("schedule", "schedule_id", Mine.schedule),
    buckets.bucket_delete: ("bucket", "name", Mine.bucket),
    settings_services.setting_delete: ("setting", "setting_id", Mine.setting),
    settings_services.limitation_delete: ("limitation", "name", Mine.limitation),
    settings_services.group_delete: ("setting_group", "name", Mine.setting_group),
}
OF_THE_PLATFORM = {buckets.expired_delete}  # not called by a request; it has a test of its own
# The line names the result; the conformance test of reads has it.
OF_RESULTS: set[Callable[..., Any]] = {tasks.task_result_view, tasks.subtask_result_view}
OF_QUERIES = {events.events_delete}  # it deletes the events of a query; the tests of garbage collection have its lines
OF_PAGES = {imagestore.pictures_view}  # of the admin site: one line for all pictures of a list (`test_admin_pictures`)


def service_name(service: Callable[..., Any]) -> str:
    return f"{service.__module__}.{service.__name__}"


@pytest.mark.parametrize("service", SERVICES, ids=service_name)
def test_a_service_leaves_one_line(service: Callable[..., Any]) -> None:
    kind, argument, make = SERVICES[service]
    mine, actor = Mine(make_account()), Actor(uuid4(), uuid4(), "192.0.2.7")
    key = make(mine)
    AuditRecord.objects.all().delete()
    given = {
        "account_id": mine.account.pk,
        "scope": Scope(mine.account.pk),
        "bucket": Bucket.IMAGES,
        "actor": actor,
        argument: [key] if argument.endswith("s") else key,
    }
    service(**{name: given[name] for name in inspect.signature(service).parameters if name in given})
    record = AuditRecord.objects.get()
    assert record.action == service.__name__.rpartition("_")[2]
    assert (record.object_type, record.object_id) == (kind, str(getattr(key, "pk", key)))
    assert (record.account_id, record.token_id, record.remote_address) == (
        actor.account_id, actor.token_id, actor.remote_address
    )  # fmt: skip


def test_what_expires_leaves_one_line_of_the_platform() -> None:
    mine, other = Mine(make_account()), Mine(make_account())
    keys = {mine.image(ttl_days=1): mine.account.pk, other.image(ttl_days=1): other.account.pk}
    mine.image()
    StoredObject.objects.unscoped().filter(ttl_days=1).update(expiry_time=NOON)
    AuditRecord.objects.all().delete()
    assert buckets.expired_delete() == 2
    assert sorted(lines_of()) == sorted(("delete", "image", str(key)) for key in keys)
    for record in AuditRecord.objects.all():
        assert (record.account_id, record.object_account_id) == (None, keys[UUID(record.object_id)])


def services() -> Iterator[Callable[..., Any]]:
    """The public functions of all rooms that delete or show something, by their names."""
    for module in pkgutil.walk_packages(apps.__path__, "apps."):
        if {"api", "auth", "admin", "adminbase", "migrations"} & set(module.name.split(".")):
            continue
        for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            if found.__module__ == module.name and name.endswith(("_delete", "_view")) and not name.startswith("_"):
                yield found


def test_every_service_that_deletes_or_shows_is_tested() -> None:
    tested: set[Callable[..., Any]] = {*SERVICES, *OF_THE_PLATFORM, *OF_RESULTS, *OF_QUERIES, *OF_PAGES}
    assert set(map(service_name, services())) == set(map(service_name, tested))


@pytest.mark.parametrize(
    "page", ["faces_face", "faces_list", "handlers_handler", "handlers_verifier", "imagestore_storedobject"]
)
def test_the_admin_site_leaves_one_line_per_object(admin: Account, page: str) -> None:
    """Chosen in a list or by their own page: the services write the lines, the pages none beside."""
    mine, site = Mine(make_account()), Client()
    site.force_login(admin)
    make, model, kind, name = {
        "faces_face": (mine.face, Face, "face", "face_id"),
        "faces_list": (mine.list, List, "list", "list_id"),
        "handlers_handler": (mine.handler, Handler, "handler", "handler_id"),
        "handlers_verifier": (mine.verifier, Verifier, "verifier", "verifier_id"),
        "imagestore_storedobject": (mine.image, StoredObject, "image", "object_id"),
    }[page]
    for _ in range(3):
        make()
    rows: Any = model._base_manager.all()
    ids = {row.pk: str(getattr(row, name)) for row in rows}
    AuditRecord.objects.all().delete()
    first, *chosen = ids
    site.post(
        reverse(f"admin:{page}_changelist"),
        {"action": "delete_selected", "_selected_action": chosen, "post": "yes"},
    )
    site.post(reverse(f"admin:{page}_delete", args=(first,)), {"post": "yes"})
    assert sorted(lines_of()) == sorted(("delete", kind, each) for each in ids.values())
    assert set(AuditRecord.objects.values_list("account_id", "object_account_id")) == {(admin.pk, mine.account.pk)}


def changed(site: Client, address: str, **changes: Any) -> Any:
    """Submit the form of a page with its current values and these changes."""
    page = site.get(address).context
    form = page["adminform"].form
    values = {name: value for name, value in form.initial.items() if name in form.fields and value not in (None, False)}
    for formset in page["inline_admin_formsets"]:
        management = formset.formset.management_form
        values.update({management.add_prefix(name): value for name, value in management.initial.items()})
    answer = site.post(address, {**values, **changes})
    assert answer.status_code == 302, answer.context["errors"]
    return answer


def admin_actions(site: Client, mine: Mine) -> dict[str, tuple[Callable[[], Any], tuple[str, str]]]:
    """What the admin site changes besides deletions of rows: the request, and action and type of its line."""
    new = "quite another one"
    account, face, listed = mine.account.pk, mine.face(), mine.list()
    face_pk = Face.objects.unscoped().get(face_id=face).pk
    list_pk = List.objects.unscoped().get(list_id=listed).pk
    twice = {"password1": new, "password2": new}
    added = {"login": "new@luna.test", "account_type": "user", **twice}
    return {
        "add an account": (lambda: site.post(reverse("admin:accounts_account_add"), added), ("create", "account")),
        "change an account": (
            lambda: changed(site, reverse("admin:accounts_account_change", args=(account,)), description="new"),
            ("update", "account"),
        ),
        "set a password": (
            lambda: site.post(f"/admin/accounts/account/{account}/password/", twice),
            ("update", "account"),
        ),
        "change a face": (
            lambda: changed(site, reverse("admin:faces_face_change", args=(face_pk,)), user_data="new"),
            ("update", "face"),
        ),
        "add a list": (
            lambda: site.post(reverse("admin:faces_list_add"), {"account": account, "user_data": "new"}),
            ("create", "list"),
        ),
        "change a list": (
            lambda: changed(site, reverse("admin:faces_list_change", args=(list_pk,)), user_data="new"),
            ("update", "list"),
        ),
    }


@pytest.mark.parametrize(
    "name", ["add an account", "change an account", "set a password", "change a face", "add a list", "change a list"]
)
def test_a_change_in_the_admin_site_leaves_one_line(admin: Account, name: str) -> None:
    site, mine = Client(), Mine(make_account())
    site.force_login(admin)
    request, (action, kind) = admin_actions(site, mine)[name]
    AuditRecord.objects.all().delete()
    answer = request()
    assert answer.status_code == 302, answer.context["errors"]
    assert [(line[0], line[1]) for line in lines_of()] == [(action, kind)]
    record = AuditRecord.objects.get()
    assert (record.account_id, record.remote_address) == (admin.pk, "127.0.0.1")
    assert record.object_account_id in (mine.account.pk, UUID(record.object_id))
