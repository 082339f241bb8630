"""The admin site: access, number of queries per page, and changes through services."""

import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.contrib.staticfiles import finders
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from PIL import Image

from apps.accounts.choices import AccountType
from apps.accounts.config import Logins
from apps.accounts.models import Account, AuditRecord, Token
from apps.common.descriptors import Descriptor, versions
from apps.descriptors.versions import versions_used
from apps.events.models import Event
from apps.faces.models import Face, List
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.handlers.models import Handler, Verifier
from apps.imagestore.buckets import bucket_create
from apps.imagestore.choices import Bucket
from apps.imagestore.files import data_name
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_store
from apps.people.models import Person, PersonEvent
from tests.factories import PASSWORD, make_account, make_callback, make_event, make_version, token_client, unit_vectors

pytestmark = pytest.mark.django_db

PAGES = [
    "accounts_account",
    "accounts_token",
    "accounts_auditrecord",
    "faces_face",
    "faces_list",
    "events_event",
    "people_person",
    "handlers_handler",
    "sender_callback",
    "handlers_verifier",
    "imagestore_storedobject",
    "imagestore_storedbucket",
]


def sample(owner: Account) -> UUID:
    jpeg = io.BytesIO()
    Image.new("RGB", (250, 250), "teal").save(jpeg, "JPEG")
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=owner.account_id, data=jpeg.getvalue(), content_type="image/jpeg"
    )
    return stored.object_id


def one_of_each(owner: Account, list_id: UUID) -> tuple[Face, Event]:
    """A face in a list, an event that resembles it, a handler, a verifier, a token, a sample, a bucket."""
    bucket_create(name=f"bucket-{uuid4()}")
    sample_id = sample(owner)
    attribute = AttributeData(basic=BasicData(age=30, gender=0), basic_samples=(sample_id,))
    face = face_create(
        account_id=owner.account_id, draft=FaceDraft(user_data="Ada", lists=[list_id], attribute=attribute)
    )
    candidate = {"face": {"face_id": str(face.face_id), "user_data": "<b>Ada</b>", "avatar": ""}, "similarity": 0.97}
    event = make_event(
        owner,
        source="gate",
        gender=0,
        age=31,
        tags=("known", "<i>"),
        face_id=face.face_id,
        attach_result=(list_id,),
        top_matching_candidates_label="vip",
        top_similar_object_similarity=0.97,
        match_result=[{"label": "vip", "candidates": [candidate]}],
        face_detections=[{"sample_id": str(sample_id), "detection": {"rect": {"x": 1}}}],
    )
    person = Person.objects.create(account=owner, name="<b>Ada</b>", event_count=1, cover_event_id=event.event_id)
    PersonEvent.objects.create(person=person, event_id=event.event_id)
    Handler.objects.create(account=owner, description="gate", policies={"match_policy": []})
    make_callback(owner)
    Verifier.objects.create(account=owner, description="gate", policies={})
    token_client(owner, face=["view"])
    return face, event


@pytest.mark.parametrize("page", PAGES)
def test_a_list_costs_the_same_however_long_it_is(site: Client, owner: Account, page: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as context:
            response = site.get(reverse(f"admin:{page}_changelist"))
        assert response.status_code == 200
        return len(context)

    first = list_create(account_id=owner.account_id, user_data="guests")
    one_of_each(owner, first.list_id)
    few = queries()
    for _ in range(8):
        another = make_account()
        one_of_each(another, list_create(account_id=another.account_id).list_id)

    assert queries() == few
    assert few <= 12


@pytest.mark.parametrize("page", PAGES)
def test_only_administrators_see_it(owner: Account, page: str) -> None:
    client = Client()
    url = reverse(f"admin:{page}_changelist")
    assert client.get(url).status_code == 302
    client.force_login(owner)
    assert client.get(url).status_code == 302


def test_login_with_the_password(admin: Account) -> None:
    client = Client()
    credentials = {"username": admin.login, "password": PASSWORD}

    assert client.post("/admin/login/?next=/admin/", credentials).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_too_many_wrong_passwords_close_the_door(admin: Account, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=3)
    client = Client()
    for _ in range(3):
        answer = client.post("/admin/login/", {"username": admin.login, "password": "wrong"})
        assert answer.status_code == 200
        assert "Wrong login or password, or an account that may not" in answer.content.decode()

    answer = client.post("/admin/login/", {"username": admin.login, "password": PASSWORD})
    assert answer.status_code == 200
    assert "Too many failed logins" in answer.content.decode()
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("query", ["q=Ada", "q=gate", f"q={uuid4()}", "q=%00", "create_time__year=2026"])
@pytest.mark.parametrize("page", PAGES)
def test_search_and_dates_answer(site: Client, owner: Account, page: str, query: str) -> None:
    one_of_each(owner, list_create(account_id=owner.account_id).list_id)
    if page == "accounts_auditrecord":
        query = query.replace("create_time", "time")

    assert site.get(reverse(f"admin:{page}_changelist") + f"?{query}").status_code == 200


def test_a_uuid_finds_its_face(site: Client, owner: Account) -> None:
    faces = [face_create(account_id=owner.account_id, draft=FaceDraft(user_data=f"person-{n}")) for n in range(3)]

    page = site.get(reverse("admin:faces_face_changelist"), {"q": str(faces[1].face_id)}).content.decode()

    assert "person-1" in page
    assert "person-0" not in page


def test_faces_of_a_list(site: Client, owner: Account) -> None:
    row = list_create(account_id=owner.account_id, user_data="guests")
    face_create(account_id=owner.account_id, draft=FaceDraft(user_data="face-within", lists=[row.list_id]))
    face_create(account_id=owner.account_id, draft=FaceDraft(user_data="face-without"))

    page = site.get(reverse("admin:faces_face_changelist"), {"links__list__id__exact": row.pk}).content.decode()

    assert "face-within" in page
    assert "face-without" not in page


@pytest.mark.parametrize("page", PAGES)
def test_a_row_is_shown_and_its_texts_are_escaped(site: Client, owner: Account, page: str) -> None:
    one_of_each(owner, list_create(account_id=owner.account_id, user_data="<script>").list_id)
    row: Any = apps.get_model(page.replace("_", "."))._base_manager.first()

    address = reverse(f"admin:{page}_change", args=(row.pk,))
    content = site.get(address).content.decode()

    assert site.get(address, {"_to_field": ""}).status_code == 200
    assert "<b>Ada" not in content
    assert ">guests<script>" not in content
    assert f'value="{PASSWORD}"' not in content


def test_a_thumbnail_is_small_not_kept_and_leaves_an_audit_line(site: Client, admin: Account, owner: Account) -> None:
    sample_id = sample(owner)

    response = site.get(reverse("admin:imagestore_thumbnail", args=(Bucket.FACE_SAMPLES, sample_id)))

    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.format == "JPEG"
        assert max(image.size) <= 480
    line = AuditRecord.objects.get(object_id=str(sample_id), action="view")
    assert (line.account_id, line.object_account_id) == (admin.account_id, owner.account_id)
    assert line.remote_address == "127.0.0.1"


def test_thumbnails_are_for_staff(owner: Account) -> None:
    sample_id = sample(owner)
    client = Client()
    client.force_login(owner)

    assert client.get(reverse("admin:imagestore_thumbnail", args=(Bucket.FACE_SAMPLES, sample_id))).status_code == 302
    assert not AuditRecord.objects.filter(object_id=str(sample_id)).exists()


def test_what_is_no_picture_has_no_thumbnail(site: Client, owner: Account) -> None:
    text = object_store(bucket=Bucket.OBJECTS, account_id=owner.account_id, data=b"text", content_type="text/plain")

    for object_id in (text.object_id, uuid4()):
        url = reverse("admin:imagestore_thumbnail", args=(Bucket.OBJECTS, object_id))
        assert site.get(url).status_code == 404


def test_an_account_is_made_with_a_hashed_password(site: Client, admin: Account) -> None:
    form = {"login": "New@Luna.test", "password1": "long enough", "password2": "long enough", "account_type": "user"}

    response = site.post(reverse("admin:accounts_account_add"), form)

    account = Account.objects.get(login="new@luna.test")
    assert response.status_code == 302
    assert account.check_password("long enough")
    assert AuditRecord.objects.get(action="create", object_id=str(account.pk)).account_id == admin.account_id


def test_an_account_is_changed_and_its_password_too(site: Client, owner: Account) -> None:
    form = {
        "login": owner.login,
        "account_type": "advanced_user",
        "description": "front desk",
        "is_active": "on",
        "time_zone": "UTC",
    }
    assert site.post(reverse("admin:accounts_account_change", args=(owner.pk,)), form).status_code == 302
    passwords = {"password1": "another one", "password2": "another one"}
    assert site.post(f"/admin/accounts/account/{owner.pk}/password/", passwords).status_code == 302

    owner.refresh_from_db()
    assert (owner.account_type, owner.description) == ("advanced_user", "front desk")
    assert owner.check_password("another one")
    assert AuditRecord.objects.filter(action="update", object_id=str(owner.pk)).count() == 2


def test_an_administrator_cannot_lock_himself_out(site: Client, admin: Account) -> None:
    form = {"login": admin.login, "account_type": "user", "description": "", "time_zone": "UTC"}
    site.post(reverse("admin:accounts_account_change", args=(admin.pk,)), form)
    url = reverse("admin:accounts_account_delete", args=(admin.pk,))
    response = site.post(url, {"post": "yes", "login": admin.login}, follow=True)

    admin.refresh_from_db()
    assert (admin.account_type, admin.is_active) == (AccountType.ADMIN, True)
    assert "the last administrator" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_deleting_an_account_takes_its_data_along(site: Client, owner: Account) -> None:
    one_of_each(owner, list_create(account_id=owner.account_id).list_id)
    stored = StoredObject.objects.for_account(owner.account_id).get()
    name = data_name(stored.bucket, stored.object_id, stored.content_type)
    assert default_storage.exists(name)

    url = reverse("admin:accounts_account_delete", args=(owner.pk,))
    response = site.post(url, {"post": "yes", "login": owner.login})

    assert response.status_code == 302
    for model in (Face, List, Event, Handler, Verifier, StoredObject, Token):
        assert not model.objects.for_account(owner.pk).exists()
    assert not default_storage.exists(name)


def test_chosen_faces_are_deleted_by_the_service(site: Client, owner: Account) -> None:
    row = list_create(account_id=owner.account_id)
    faces = [face_create(account_id=owner.account_id, draft=FaceDraft(lists=[row.list_id])) for _ in range(3)]
    chosen = {"action": "delete_selected", "_selected_action": [face.pk for face in faces[:2]], "post": "yes"}

    response = site.post(reverse("admin:faces_face_changelist"), chosen)

    assert response.status_code == 302
    assert [face.face_id for face in Face.objects.for_account(owner.pk)] == [faces[2].face_id]
    row.refresh_from_db()
    assert row.unlink_key == 2  # the service keeps the list's log
    assert AuditRecord.objects.filter(action="delete", object_type="face").count() == 2


def test_a_face_and_a_list_are_renamed(site: Client, owner: Account) -> None:
    row = list_create(account_id=owner.account_id)
    face = face_create(account_id=owner.account_id, draft=FaceDraft(lists=[row.list_id]))
    inline = {"links-TOTAL_FORMS": 0, "links-INITIAL_FORMS": 0}
    url = reverse("admin:faces_face_change", args=(face.pk,))
    assert site.post(url, {"user_data": "Ada", "external_id": "7", **inline}).status_code == 302
    url = reverse("admin:faces_list_change", args=(row.pk,))
    assert site.post(url, {"user_data": "guests"}).status_code == 302

    face.refresh_from_db()
    row.refresh_from_db()
    assert (face.user_data, face.external_id, row.user_data) == ("Ada", "7", "guests")


def test_a_list_is_made_for_an_account(site: Client, owner: Account) -> None:
    form = {"user_data": "guests", "account": str(owner.pk)}
    assert site.post(reverse("admin:faces_list_add"), form).status_code == 302

    assert List.objects.for_account(owner.pk).get().user_data == "guests"


def test_a_revoked_token_ends(site: Client, owner: Account) -> None:
    client = token_client(owner, token=["view"])
    token = Token.objects.for_account(owner.pk).get()
    assert client.get("/6/tokens").status_code == 200

    site.post(reverse("admin:accounts_token_delete", args=(token.pk,)), {"post": "yes"})

    assert client.get("/6/tokens").status_code == 401


@pytest.mark.parametrize("page", ["accounts_auditrecord", "events_event"])
def test_events_and_audit_lines_cannot_be_changed(site: Client, owner: Account, page: str) -> None:
    _face, event = one_of_each(owner, list_create(account_id=owner.account_id).list_id)
    pk = event.pk if page == "events_event" else AuditRecord.objects.earliest("id").pk
    assert site.post(reverse(f"admin:{page}_delete", args=(pk,)), {"post": "yes"}).status_code == 403
    assert site.post(reverse(f"admin:{page}_change", args=(pk,)), {}).status_code == 403


@pytest.mark.parametrize("name", ["luna/admin.css", "unfold/css/styles.css"])
def test_static_files_of_the_site_are_there(name: str) -> None:
    assert finders.find(name), name


VERSIONS = "/admin/descriptor-versions/"


def test_the_page_of_versions_counts_who_has_which(
    site: Client, owner: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_version(9201, 3), make_version(9202, 3)
    unregistered = 9203
    monkeypatch.setitem(versions._defaults, "face", first.version)
    vectors = unit_vectors(3, 3)
    for numbers in ((first.version,), (first.version, second.version), (unregistered,)):
        found = tuple(Descriptor(number, vectors[0]) for number in numbers)
        face_create(account_id=owner.account_id, draft=FaceDraft(attribute=AttributeData(found)))
    face_create(account_id=owner.account_id, draft=FaceDraft())  # without a descriptor: it lacks none
    make_event(owner, Descriptor(second.version, vectors[0]))

    used = {use.number: use for use in versions_used()}

    counted = {number: (used[number].faces, used[number].faces_lacking, used[number].events) for number in used}
    assert counted[first.version] == (2, 1, 0)
    assert counted[second.version] == (1, 2, 1)
    assert counted[unregistered] == (1, None, 0)
    assert counted[1004] == (0, 3, 0)
    assert [used[number].default for number in (first.version, second.version, 1004)] == [True, False, False]
    assert (used[1004].installed, used[1004].next_default, used[first.version].installed) == (True, True, False)
    page = site.get(VERSIONS).content.decode()
    for text in ("9203", "unknown", "sface", "default after restart", "not installed", "float32-le"):
        assert text in page


def test_the_page_of_versions_costs_the_same_however_many_there_are(site: Client, owner: Account) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert site.get(VERSIONS).status_code == 200
        return len(context)

    few = queries()
    for number in range(9300, 9310):
        version = make_version(number, 3)
        data = AttributeData((Descriptor(version.version, unit_vectors(1, 3)[0]),))
        face_create(account_id=owner.account_id, draft=FaceDraft(attribute=data))
    assert queries() == few == 5  # session, user, descriptors of faces, of events, faces that have any


def test_the_page_of_versions_is_for_staff_and_changes_nothing(site: Client, owner: Account) -> None:
    client = Client()
    assert client.get(VERSIONS).status_code == 302
    client.force_login(owner)
    assert client.get(VERSIONS).status_code == 302
    assert site.post(VERSIONS).status_code == 405
    assert VERSIONS in site.get("/admin/").content.decode()
