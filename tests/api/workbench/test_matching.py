"""The matching dialog: references, candidates, results, and what is known about false matches."""

from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account, AuditRecord
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.common.times import utc_now
from apps.events.models import Event
from apps.faces.models import Face
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.models import StoredObject
from tests.api.handlers.helpers import astronaut, nobody, sample
from tests.factories import make_account, make_event
from tests.site import vector

pytestmark = pytest.mark.django_db
MATCH = reverse("workbench:match")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def operator(db: None) -> Account:
    login = make_account()
    account_update(account=login, roles=[Role.OPERATOR])
    return login


@pytest.fixture
def desk(operator: Account) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def make_face(owner: Account, angle: float, name: str, *lists: Any) -> Any:
    attribute = AttributeData(descriptors=(vector(angle),), basic_samples=())
    draft = FaceDraft(user_data=name, lists=[each.list_id for each in lists], attribute=attribute)
    return face_create(account_id=owner.pk, draft=draft)


def matched(desk: Client, **fields: Any) -> Any:
    page = desk.post(MATCH, {"do": "match", **fields})
    assert page.status_code == 200
    return page


def names(page: Any) -> list[list[str]]:
    return [[str(each["id"]) for each in row["results"]] for row in page.context["rows"]]


def test_faces_and_events_are_matched_with_lists(desk: Client, operator: Account) -> None:
    staff, guests = (list_create(account_id=operator.pk, user_data=name) for name in (HOSTILE, "guests"))
    near, far = make_face(operator, 0.1, HOSTILE, staff, guests), make_face(operator, 1.2, "far", guests)
    alone = make_face(operator, 0.0, "in no list")
    event = make_event(operator, vector(0.06), create_time=utc_now())
    foreign = make_face(make_account(), 0.0, "foreign")

    everything = matched(desk, face=str(alone.face_id), event=str(event.event_id), threshold="0.5")
    assert names(everything) == [
        [str(each.face_id) for each in order] for order in ((alone, near, far), (near, alone, far))
    ]
    assert "at most one in 10,000 comparisons" in unescape(everything.content.decode()), "above the highest stated one"
    both = matched(desk, event=str(event.event_id), list=[str(staff.list_id), str(guests.list_id)], threshold="0.8")
    assert names(both) == [[str(near.face_id)]], "in two lists, but once"
    text = unescape(both.content.decode())
    assert "one in 1,000 comparisons" in text
    assert "3 candidates were searched" in text  # a face of two lists counts twice
    assert HOSTILE not in both.content.decode()

    by_name = matched(desk, face=str(alone.face_id), **{"filters.user_data": "far", "threshold": "0"})
    assert names(by_name) == [[str(far.face_id)]]
    assert "not known" in by_name.content.decode(), "no calibration states a rate at 0"
    events = matched(desk, face=str(near.face_id), origin="events", **{"filters.create_time__gte": "now-1h"})
    assert names(events) == [[str(event.event_id)]]
    assert names(matched(desk, face=str(foreign.face_id))) == [[str(foreign.face_id)]], "in its own account"
    mixed = matched(desk, face=f"{alone.face_id} {foreign.face_id}")
    assert "not found" in mixed.context["problems"][""]


def test_uploaded_photographs_are_matched_and_not_stored(desk: Client, operator: Account) -> None:
    files = [SimpleUploadedFile("a.jpg", astronaut()), SimpleUploadedFile("group.jpg", sample(1)),
             SimpleUploadedFile("nobody.png", nobody()), SimpleUploadedFile("broken.jpg", b"x")]  # fmt: skip
    make_face(operator, 0.0, "somebody")
    before = [model._base_manager.count() for model in (Event, Face, StoredObject)]
    page = matched(desk, photograph=files, threshold="0")
    assert set(page.context["problems"]) == {"nobody.png", "broken.jpg"}
    asked = [row["asked"] for row in page.context["rows"]]
    assert asked[0].name == "a.jpg"
    assert len(asked) >= 2
    assert all(each.crop.startswith("data:image/jpeg") for each in asked)
    assert [model._base_manager.count() for model in (Event, Face, StoredObject)] == before


def test_faces_are_found_by_name_with_one_audit_line(desk: Client, operator: Account) -> None:
    face = make_face(operator, 0.0, "Ada Lovelace")
    Face.objects.for_account(operator.pk).update(avatar=f"/6/samples/faces/{uuid4()}")
    make_face(make_account(), 0.0, "Ada of another account")
    AuditRecord.objects.all().delete()
    page = desk.post(MATCH, {"do": "find", "words": "ada"})
    assert [row["face"].face_id for row in page.context["found"]] == [face.face_id]
    assert list(AuditRecord.objects.values_list("object_type", "object_id")) == [("pictures", "faces to match")]
    assert "No face has this name" in desk.post(MATCH, {"words": "%_\\"}).content.decode()


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, ""),
        ({"face": "x"}, "face"),
        ({"face": str(uuid4())}, ""),
        ({"event": str(uuid4())}, ""),
        ({"limit": "0"}, "limit"),
        ({"threshold": "high"}, "threshold"),
        ({"filters.create_time__gte": "soon"}, "filters.create_time__gte"),
        ({"origin": "events", "filters.gender": "robot"}, "filters.gender.0"),
        ({"face": " ".join(str(uuid4()) for _ in range(31))}, ""),
        ({"descriptor": "body", "face": str(uuid4())}, ""),
    ],
)
def test_errors_are_shown(desk: Client, fields: dict[str, str], place: str) -> None:
    page = matched(desk, **fields)
    assert page.context["problems"].get(place), page.context["problems"]
    assert page.context["rows"] == []


def test_links_fill_the_dialog(desk: Client, operator: Account) -> None:
    face = make_face(operator, 0.0, "Ada")
    page = desk.get(MATCH, {"face": str(face.face_id)})
    assert page.context["faces"] == str(face.face_id)
    assert page.context["answer"] is None
