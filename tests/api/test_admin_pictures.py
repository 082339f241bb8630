"""Pictures in the admin site: audit lines of lists and of single pictures, candidates, alternative texts."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.events.models import Event
from apps.faces.models import Face, FaceAttribute
from apps.faces.services import face_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from tests.api.imagestore.helpers import picture
from tests.api.test_admin import sample
from tests.factories import make_account, make_event

pytestmark = pytest.mark.django_db
HOSTILE = '"><script>alert(1)</script>'
IMG = re.compile(r'<img src="([^"]*/thumbnail/[^"]*)" loading="lazy" alt="([^"]*)"')


def face_of(owner: Account, **columns: Any) -> Face:
    data = AttributeData(basic=BasicData(age=30, gender=0), basic_samples=(sample(owner),))
    return face_create(account_id=owner.pk, draft=FaceDraft(attribute=data, **columns))


def event_of(owner: Account, **columns: Any) -> Event:
    return make_event(owner, face_detections=[{"sample_id": str(sample(owner))}], **columns)


def images(content: bytes) -> list[tuple[str, str]]:
    return [(url.replace("&amp;", "&"), alt) for url, alt in IMG.findall(content.decode())]


@pytest.mark.parametrize(("make", "page"), [(face_of, "faces_face"), (event_of, "events_event")])
def test_a_list_leaves_one_line_that_names_its_pictures(
    site: Client, admin: Account, owner: Account, make: Any, page: str
) -> None:
    for _ in range(3):
        make(owner)
    AuditRecord.objects.all().delete()

    shown = images(site.get(reverse(f"admin:{page}_changelist")).content)
    for url, _alt in shown:
        assert site.get(url).status_code == 200

    line = AuditRecord.objects.get()
    assert len(shown) == 3
    assert (line.action, line.object_type, line.object_id) == ("view", "pictures", page.partition("_")[0])
    assert (line.account_id, line.object_account_id, line.remote_address) == (admin.pk, owner.pk, "127.0.0.1")
    assert sorted(line.members or ()) == sorted(url.split("/thumbnail")[0].rpartition("/")[2] for url, _ in shown)


def test_a_line_of_several_owners_names_none(site: Client, owner: Account) -> None:
    face_of(owner)
    face_of(make_account())
    AuditRecord.objects.all().delete()

    site.get(reverse("admin:faces_face_changelist"))

    assert AuditRecord.objects.get().object_account_id is None


def test_a_list_without_pictures_leaves_no_line(site: Client, owner: Account) -> None:
    face_create(account_id=owner.pk, draft=FaceDraft())
    AuditRecord.objects.all().delete()

    site.get(reverse("admin:faces_face_changelist"))

    assert not AuditRecord.objects.exists()


def test_an_address_of_a_list_serves_its_user_only_and_not_for_long(
    site: Client, owner: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    face_of(owner)
    [(url, _)] = images(site.get(reverse("admin:faces_face_changelist")).content)
    other = Client()
    other.force_login(make_account(AccountType.ADMIN))
    AuditRecord.objects.all().delete()

    assert other.get(url).status_code == 200
    assert AuditRecord.objects.get().object_type == "face_sample"
    monkeypatch.setattr("apps.imagestore.admin.SEEN_S", -1)
    assert site.get(url).status_code == 200
    assert AuditRecord.objects.filter(object_type="face_sample").count() == 2


@pytest.mark.parametrize("seen", ["", "x", "a:b:c", "%00"])
def test_a_forged_signature_leaves_a_line(site: Client, owner: Account, seen: str) -> None:
    url = reverse("admin:imagestore_thumbnail", args=(Bucket.FACE_SAMPLES, sample(owner)))
    AuditRecord.objects.all().delete()

    assert site.get(f"{url}?seen={seen}").status_code == 200
    assert AuditRecord.objects.count() == 1


def test_a_signature_is_of_one_picture(site: Client, owner: Account) -> None:
    face_of(owner)
    [(url, _)] = images(site.get(reverse("admin:faces_face_changelist")).content)
    other = reverse("admin:imagestore_thumbnail", args=(Bucket.FACE_SAMPLES, sample(owner)))
    AuditRecord.objects.all().delete()

    assert site.get(f"{other}?{url.partition('?')[2]}").status_code == 200
    assert AuditRecord.objects.count() == 1


def test_without_the_permission_a_list_has_no_pictures_and_no_line(owner: Account) -> None:
    face_of(owner)
    account = make_account()
    account_update(account=account, roles=[Role.OPERATOR])
    role = account.groups.get()
    role.permissions.remove(role.permissions.get(codename="view_storedobject"))
    site = Client()
    site.force_login(account)
    AuditRecord.objects.all().delete()

    content = site.get(reverse("admin:faces_face_changelist")).content

    assert images(content) == []
    assert not AuditRecord.objects.exists()


def test_pictures_have_alternative_texts_and_these_are_escaped(site: Client, owner: Account) -> None:
    face = face_of(owner, user_data=HOSTILE)
    for url in (reverse("admin:faces_face_changelist"), reverse("admin:faces_face_change", args=(face.pk,))):
        content = site.get(url).content
        [(_, alt)] = images(content)
        assert alt == "face &quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
        assert HOSTILE.encode() not in content


def candidate(face: Face, **columns: Any) -> dict[str, Any]:
    return {"face": {"face_id": str(face.face_id), "user_data": HOSTILE, "avatar": "", **columns}, "similarity": 0.9}


def test_candidates_show_their_avatar_or_their_sample_with_one_line(site: Client, owner: Account) -> None:
    plain, named, seen = face_of(owner), face_of(owner), event_of(owner)
    avatar = sample(owner)
    deleted = {"face": {"face_id": str(uuid4()), "user_data": "gone", "avatar": ""}, "similarity": 0.5}
    candidates = [
        candidate(plain),
        candidate(named, avatar=object_address(Bucket.FACE_SAMPLES, avatar)),
        {"event": {"event_id": str(seen.event_id), "user_data": "earlier"}, "similarity": 0.8},
        deleted,
    ]
    event = make_event(owner, match_result=[{"label": "vip", "candidates": candidates}])
    expected = {
        str(FaceAttribute.objects.get(face=plain).basic_attributes_samples[0]),
        str(avatar),
        seen.face_detections[0]["sample_id"],
    }
    AuditRecord.objects.all().delete()

    content = site.get(reverse("admin:events_event_change", args=(event.pk,))).content
    for url, _alt in images(content):
        assert site.get(url).status_code == 200

    line = AuditRecord.objects.get()
    assert set(line.members or ()) == expected
    assert {url.split("/thumbnail")[0].rpartition("/")[2] for url, _ in images(content)} == expected
    assert line.object_id == f"candidates of {event.event_id}"
    assert b"gone" in content
    assert HOSTILE.encode() not in content


def test_a_malformed_candidate_or_sample_breaks_no_page(site: Client, owner: Account) -> None:
    """Handlers of former versions, and clients that save events, may have stored less."""
    event = make_event(
        owner,
        match_result=[{"label": "vip", "candidates": [{"similarity": 0.2}, {"face": {}, "similarity": 1.0}]}],
        face_detections=[{"sample_id": "../../etc/passwd"}, {"sample_id": None}, {}],
    )

    assert site.get(reverse("admin:events_event_change", args=(event.pk,))).status_code == 200
    assert site.get(reverse("admin:events_event_changelist")).status_code == 200


def test_a_stored_picture_of_a_client_bucket_has_its_thumbnail(site: Client, owner: Account) -> None:
    from apps.imagestore.buckets import bucket_create
    from apps.imagestore.services import object_store

    bucket_create(name="an-own-bucket")
    object_store(bucket="an-own-bucket/images", account_id=owner.pk, data=picture((64, 64)), content_type="image/jpeg")

    [(url, _)] = images(site.get(reverse("admin:imagestore_storedobject_changelist")).content)

    assert site.get(url).status_code == 200
