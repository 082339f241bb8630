"""Every deletion and every biometric read leaves exactly one audit line, and nothing else reads without being asked."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks

import apps
from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.services import account_delete, token_delete
from apps.common.descriptors import Descriptor
from apps.common.scope import Scope
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
from tests.api.imagestore.helpers import picture
from tests.conformance.document import plain
from tests.conformance.examples import Examples
from tests.conformance.world import JPEG, JSON, made, make_world
from tests.factories import NOON, basic_client, make_account, token_client, unit_vectors

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
Line = tuple[str, str, str]  # action, type and id of the object
DESCRIPTORS = "targets=face_descriptor"


@dataclass(frozen=True)
class Route:
    """A request to one route and the lines that it leaves: pairs of type and the name of an id in the world."""

    path: str
    lines: tuple[tuple[str, str], ...]
    body: dict[str, Any] = field(default_factory=dict)
    query: str = ""


def one(path: str, kind: str, name: str, query: str = "") -> Route:
    return Route(path, ((kind, name),), query=query)


def several(path: str, kind: str, name: str) -> Route:
    return Route(path, ((kind, name),), {f"{name.removeprefix('body_')}s": [f"{{{name}}}"]})


DELETIONS = [
    one("/1/buckets/{empty_bucket}", "bucket", "empty_bucket"),
    several("/1/buckets/{bucket}/images", "image", "image_id"),
    one("/1/buckets/{bucket}/images/{image_id}", "image", "image_id"),
    several("/1/buckets/{bucket}/objects", "object", "object_id"),
    one("/1/buckets/{bucket}/objects/{object_id}", "object", "object_id"),
    one("/6/account", "account", "account_id"),
    one("/6/attributes/{attribute_id}", "attribute", "attribute_id"),
    several("/6/faces", "face", "face_id"),
    one("/6/faces/{face_id}", "face", "face_id"),
    one("/6/faces/{face_id}/attributes", "face_attribute", "face_id"),
    one("/6/handlers/{handler_id}", "handler", "handler_id"),
    one("/6/images/{image_id}", "image", "image_id"),
    several("/6/lists", "list", "list_id"),
    Route("/6/lists", (("list", "list_id"), ("face", "face_id")), {"list_ids": ["{list_id}"]}, "with_faces=1"),
    one("/6/lists/{list_id}", "list", "list_id"),
    Route("/6/lists/{list_id}", (("list", "list_id"), ("face", "face_id")), query="with_faces=1"),
    one("/6/objects/{object_id}", "object", "object_id"),
    several("/6/samples/bodies", "body_sample", "body_sample_id"),
    one("/6/samples/bodies/{body_sample_id}", "body_sample", "body_sample_id"),
    several("/6/samples/faces", "face_sample", "sample_id"),
    one("/6/samples/faces/{sample_id}", "face_sample", "sample_id"),
    one("/6/tokens/{token_id}", "token", "token_id"),
    one("/6/verifiers/{verifier_id}", "verifier", "verifier_id"),
]
READS = [
    one("/1/buckets/{bucket}/images/{image_id}", "image", "image_id"),
    one("/1/buckets/{bucket}/objects/{object_id}", "object", "object_id"),
    one("/6/attributes", "attribute_descriptor", "attribute_id", "attribute_ids={attribute_id}&" + DESCRIPTORS),
    one("/6/attributes/{attribute_id}", "attribute_descriptor", "attribute_id", DESCRIPTORS),
    one("/6/faces/{face_id}/attributes", "face_descriptor", "face_id", DESCRIPTORS),
    one("/6/images/{image_id}", "image", "image_id"),
    one("/6/objects/{object_id}", "object", "object_id"),
    one("/6/samples/bodies/{body_sample_id}", "body_sample", "body_sample_id"),
    one("/6/samples/faces/{sample_id}", "face_sample", "sample_id"),
]
ALWAYS_READ = {read.path for read in READS if not read.query}
URLS, SAMPLES = {"urls": ["/6/images/{image_id}"]}, {"samples": ["{sample_id}"]}
IMAGE, SAMPLE = (("image", "image_id"),), (("face_sample", "sample_id"),)
RECOGNITION = [
    Route(path, lines, body)
    for path in (
        "/6/sdk",
        "/6/iso",
        "/6/liveness",
        "/6/detector",
        "/6/handlers/{handler_id}/events",
        "/6/handlers/{handler_id}/stream_events",
    )
    for lines, body in ((IMAGE, URLS), (SAMPLE, SAMPLES))
] + [
    Route("/6/extractor", SAMPLE, {"": ["{sample_id}"]}),
    Route("/6/verifiers/{verifier_id}/verifications", IMAGE, URLS, "face_ids={face_id}"),
    Route("/6/verifiers/{verifier_id}/verifications", SAMPLE, SAMPLES, "face_ids={face_id}"),
]


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, ids) for key, each in value.items()}
    return [each.format(**ids) for each in value] if isinstance(value, list) else value.format(**ids)


def world_of(account: Account, client: Client) -> dict[str, str]:
    ids = make_world(client)
    warp = picture((128, 250))
    sample = made(client, "/6/samples/bodies", warp, JPEG)["sample_id"]
    client.post("/1/buckets?bucket=an-empty-one")
    return {**ids, "account_id": str(account.pk), "body_sample_id": sample, "empty_bucket": "an-empty-one"}


def lines_of(action: str | None = None) -> list[Line]:
    rows = AuditRecord.objects.order_by("id").values_list("action", "object_type", "object_id")
    return [row for row in rows if action in (None, row[0])]


@pytest.fixture
def admin() -> Account:
    make_account(AccountType.ADMIN)  # another, so that this one may be deleted
    return make_account(AccountType.ADMIN)


def named(route: Route) -> str:
    return f"{route.path}?{route.query}" if route.query else route.path


@pytest.mark.parametrize("route", DELETIONS, ids=named)
def test_a_deletion_leaves_one_line_per_object(
    admin: Account, route: Route, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    client = basic_client(admin)
    with django_capture_on_commit_callbacks(execute=True):
        ids = world_of(admin, client)
    AuditRecord.objects.all().delete()
    query = filled(route.query, ids)
    answer = client.delete(f"{filled(route.path, ids)}?{query}", filled(route.body, ids), JSON)
    assert answer.status_code == 204, answer.content
    check(admin, [("delete", kind, ids[name]) for kind, name in route.lines])


def check(admin: Account, expected: list[Line]) -> None:
    """Those lines and no others, each of this actor and of his data."""
    assert sorted(lines_of()) == sorted(expected)
    for record in AuditRecord.objects.all():
        assert (record.account_id, record.remote_address) == (admin.pk, "127.0.0.1")
        assert record.object_account_id == (None if record.object_type == "bucket" else admin.pk)


def test_every_deletion_of_the_api_is_tested() -> None:
    documented = {path for path, methods in plain()["paths"].items() if "delete" in methods}
    tested = {
        route.path.replace("empty_bucket", "bucket").replace("body_sample_id", "sample_id") for route in DELETIONS
    }
    assert tested == documented


def test_reads_leave_one_line_per_object(
    admin: Account, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """All GET routes: those that show pictures or descriptors leave the line, the others none."""
    client = basic_client(admin)
    with django_capture_on_commit_callbacks(execute=True):
        ids = world_of(admin, client)
    for read in READS:
        AuditRecord.objects.all().delete()
        answer = client.get(f"{filled(read.path, ids)}?{filled(read.query, ids)}")
        assert answer.status_code == 200, (read, answer)
        check(admin, [("view", kind, ids[name]) for kind, name in read.lines])
    AuditRecord.objects.all().delete()
    asked = 0
    for path, methods in plain()["paths"].items():
        if "get" not in methods or path in ALWAYS_READ or path.startswith("/6/samples/bodies"):
            continue
        answer = client.get(Examples(plain(), ids, 0).path(path), {"attribute_ids": ids["attribute_id"]})
        assert answer.status_code in (200, 400), (path, answer.content)
        asked += 1
    for path in ALWAYS_READ:
        assert client.head(filled(path, ids)).status_code == 200, path
    assert asked > 20
    assert lines_of() == []


@pytest.mark.parametrize("route", RECOGNITION, ids=lambda route: f"{route.path} {next(iter(route.body)) or 'ids'}")
def test_recognition_of_a_stored_picture_leaves_one_line(
    admin: Account, route: Route, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    client = basic_client(admin)
    with django_capture_on_commit_callbacks(execute=True):
        ids = world_of(admin, client)
    AuditRecord.objects.all().delete()
    body = filled(route.body, ids)
    answer = client.post(f"{filled(route.path, ids)}?{filled(route.query, ids)}", body.get("", body), JSON)
    assert answer.status_code in (200, 201), answer.content
    check(admin, [("view", kind, ids[name]) for kind, name in route.lines])


def test_a_request_that_changes_nothing_leaves_no_line(admin: Account) -> None:
    client = basic_client(admin)
    client.get("/6/account")  # the login leaves a line
    AuditRecord.objects.all().delete()
    missing = {
        name: str(uuid4()) for name in ("face_id", "list_id", "handler_id", "verifier_id", "token_id", "attribute_id")
    }
    for route in DELETIONS:
        for name in missing:
            if f"{{{name}}}" in route.path:
                assert client.delete(route.path.format(**missing)).status_code == 404
    assert client.delete("/6/faces", {"face_ids": [missing["face_id"]]}, JSON).status_code == 400
    assert client.delete("/1/buckets/nobodys-bucket").status_code == 404
    assert lines_of() == []


def test_a_token_is_named_in_the_line(admin: Account) -> None:
    client = token_client(admin, face=["deletion"])
    face = faces.face_create(account_id=admin.pk, draft=FaceDraft())
    AuditRecord.objects.all().delete()
    assert client.delete(f"/6/faces/{face.face_id}").status_code == 204
    assert AuditRecord.objects.get().token_id == Token.objects.for_account(admin.pk).get().pk


# --- Services ---------------------------------------------------------------------------------------------------
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

    def bucket(self) -> str:
        return buckets.bucket_create(name="an-empty-one").name


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
    buckets.bucket_delete: ("bucket", "name", Mine.bucket),
}
OF_THE_PLATFORM = {buckets.expired_delete}  # not called by a request; it has a test of its own
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
    tested: set[Callable[..., Any]] = {*SERVICES, *OF_THE_PLATFORM, *OF_PAGES}
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
