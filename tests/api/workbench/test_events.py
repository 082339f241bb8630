"""Pages of events: the API's filters, pages that continue after an event, the wall's tickets, trails."""

from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Account, AuditRecord
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.common.config import override_config
from apps.common.times import utc_now
from apps.events.models import Event
from apps.faces.services import face_create
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from apps.sender.selectors import valid_sessions
from apps.sender.tickets import ticket_redeem
from apps.workbench.config import Map
from apps.workbench.searches import EVENTS_SHOWN
from tests.api.handlers.helpers import astronaut
from tests.factories import make_account, make_event
from tests.site import vector

pytestmark = pytest.mark.django_db
HOSTILE = '"><img src=x onerror=alert(1)>'
SEARCH, WALL, TRACE = (reverse(f"workbench:{name}") for name in ("events", "wall", "trace"))


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


def make_events(owner: Account, number: int, **columns: Any) -> list[Event]:
    now = utc_now()
    return [make_event(owner, create_time=now - timedelta(minutes=each), **columns) for each in range(number)]


def found(page: Any) -> list[Event]:
    return [row["event"] for row in page.context["rows"]]


def test_every_event_is_on_one_page(desk: Client, operator: Account) -> None:
    made = make_events(operator, EVENTS_SHOWN + 3, source=HOSTILE)
    make_event(make_account(), create_time=utc_now())  # of another account
    first = desk.get(SEARCH)
    make_event(operator, create_time=utc_now())  # shifts no page
    second = desk.get(SEARCH + first.context["following"])
    assert [each.pk for each in (*found(first), *found(second))] == [each.pk for each in made]
    assert not second.context["following"]
    assert HOSTILE not in first.content.decode()
    assert "30 days" in " ".join(first.context["sentences"])


@pytest.mark.parametrize(("similarity", "named"), [(0.8, True), (0.799, False)])
def test_a_stranger_is_not_named_after_the_most_similar_person(
    desk: Client, operator: Account, similarity: float, named: bool
) -> None:
    face_id = uuid4()
    found = {"face": {"face_id": str(face_id), "user_data": "Ada"}, "event": None, "similarity": similarity}
    make_event(operator, create_time=utc_now(), top_similar_object_id=face_id, top_similar_object_type=0,
               top_similar_object_similarity=similarity, top_matching_candidates_label="staff",
               match_result=[{"label": "staff", "candidates": [found]}])  # fmt: skip
    (row,) = desk.get(SEARCH).context["rows"]
    assert ("Ada" in row["top_match"]) is named
    assert ("no match" in row["top_match"]) is not named


def test_the_filters_are_those_of_the_api(desk: Client, operator: Account) -> None:
    wanted = make_event(operator, create_time=utc_now(), gender=1, age=40, source="gate", tags=["vip"],
                        meta={"camera": {"floor": 3}}, longitude=7.5, latitude=47.5)  # fmt: skip
    make_event(operator, create_time=utc_now(), gender=0, age=40, source="gate", tags=["vip"])
    query = {
        "gender": ["male"], "age__gte": "30", "sources": "gate\nlobby", "tags": "vip", "create_time__gte": "now-1h",
        "meta.*": "meta.camera.floor__gte:integer=3", "origin_longitude": "7.5", "origin_latitude": "47.5",
    }  # fmt: skip
    page = desk.get(SEARCH, query)
    assert page.context["problems"] == {}
    assert [each.pk for each in found(page)] == [wanted.pk]
    assert "gender = male" in page.context["sentences"]
    assert found(desk.get(SEARCH, query | {"meta.*": "camera.floor__gte:integer=4"})) == []
    assert [each.pk for each in found(desk.get(f"{SEARCH}?gender=male,null&age__lt=41"))] == [wanted.pk]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"gender": "robot"}, "gender"),
        ({"age__gte": "old"}, "age__gte"),
        ({"create_time__gte": "yesterday"}, "create_time__gte"),
        ({"event_ids": "1"}, "event_ids"),
        ({"origin_longitude": "5"}, "origin_longitude"),
        ({"meta.*": "camera.floor__gte:number=4"}, "meta"),
        ({"order": "sideways"}, "order"),
    ],
)
def test_bad_filters_are_errors_at_their_place(desk: Client, query: dict[str, str], place: str) -> None:
    page = desk.get(SEARCH, query)
    assert page.status_code == 200
    assert any(path.startswith(place) for path in page.context["problems"])
    assert page.context["rows"] == []


@pytest.mark.parametrize(
    "after", ["x", "~", "2026-01-01T00:00:00Z~x", "~1", "9" * 99, "2026-01-01T00:00:00Z~" + "9" * 30]
)
def test_a_forged_position_is_the_first_page(desk: Client, operator: Account, after: str) -> None:
    make_event(operator, create_time=utc_now())
    assert len(found(desk.get(SEARCH, {"after": after}))) == 1


def test_pictures_leave_one_line_and_queries_do_not_grow(desk: Client, operator: Account) -> None:
    detections = [{"sample_id": str(uuid4()), "detection": {"rect": {}}}]
    make_events(operator, 2, face_detections=detections)
    desk.get(SEARCH)
    AuditRecord.objects.all().delete()
    with CaptureQueriesContext(connection) as few:
        desk.get(SEARCH)
    assert list(AuditRecord.objects.values_list("action", "object_type", "object_id")) == [
        ("view", "pictures", "events found")
    ]
    make_events(operator, 20, face_detections=detections)
    with CaptureQueriesContext(connection) as many:
        desk.get(SEARCH)
    assert len(many) == len(few)


def test_an_event_shows_its_source_image_with_the_box(desk: Client, operator: Account) -> None:
    stored = object_store(bucket=Bucket.IMAGES, account_id=operator.pk, data=astronaut(), content_type="image/jpeg")
    rect = {"x": 170, "y": 60, "width": 110, "height": 140}
    event = make_event(
        operator,
        create_time=utc_now(),
        source=HOSTILE,
        face_detections=[
            {"sample_id": None, "detection": {"rect": rect}, "image_origin": f"/6/images/{stored.object_id}"}
        ],
    )
    page = desk.get(reverse("workbench:event", args=(event.event_id,)), follow=True)
    text = unescape(page.content.decode())
    url = next(part for part in text.split('"') if "/photograph/" in part)
    assert "box=170%2C60%2C110%2C140" in url
    AuditRecord.objects.all().delete()
    picture = desk.get(url)
    assert (picture.status_code, picture["Content-Type"]) == (200, "image/jpeg")
    assert not AuditRecord.objects.exists(), "the line of the page covers it"
    assert desk.get(url.partition("?")[0] + "?box=1,2&box=-9,-9,5,5&box=x").status_code == 200
    assert AuditRecord.objects.count() == 1
    assert TRACE in text


def test_an_event_that_is_not_stored_is_explained(desk: Client) -> None:
    answer = desk.get(reverse("workbench:event", args=(uuid4(),)), follow=True)
    assert answer.status_code == 200
    assert "not found" in answer.content.decode()


def test_a_ticket_of_the_wall_ends_with_the_role(desk: Client, operator: Account) -> None:
    sent = desk.post(reverse("workbench:wall_ticket")).json()
    assert sent["account_id"] == str(operator.pk)
    listener = ticket_redeem(ticket=sent["ticket"])
    assert listener is not None
    assert listener.sees_all_accounts
    assert ticket_redeem(ticket=sent["ticket"]) is None
    assert valid_sessions(sessions=[listener.session]) == {listener.session}
    account_update(account=operator, roles=[])
    assert valid_sessions(sessions=[listener.session]) == set()


@pytest.mark.parametrize("end", ["logout", "expiry"])
def test_the_wall_ends_with_the_session_of_its_page(desk: Client, operator: Account, end: str) -> None:
    other = Client()
    other.force_login(operator)
    walls = {}
    for client in (desk, other):
        found = ticket_redeem(ticket=client.post(reverse("workbench:wall_ticket")).json()["ticket"])
        assert found is not None
        walls[client] = found.session
    assert valid_sessions(sessions=walls.values()) == set(walls.values())
    if end == "logout":
        desk.post(reverse("admin:logout"))
    else:
        Session.objects.filter(pk=desk.session.session_key).update(expire_date=utc_now())
    assert valid_sessions(sessions=walls.values()) == {walls[other]}


def test_the_wall_needs_the_permission(db: None) -> None:
    nobody = Client()
    nobody.force_login(make_account())
    assert nobody.get(WALL).status_code in (302, 403)
    assert nobody.post(reverse("workbench:wall_ticket")).status_code in (302, 403)


def test_the_wall_has_filters_and_a_policy_for_its_socket(desk: Client) -> None:
    page = desk.get(WALL, {"sources": "gate", "gender": "1"})
    assert "wss://testserver" in page["Content-Security-Policy"]
    assert 'data-query="sources=gate&amp;gender=1"' in page.content.decode()
    wrong = desk.get(WALL, {"gender": "robot"})
    assert "gender.0" in wrong.context["problems"]
    assert 'id="wall"' not in wrong.content.decode()


def trail_events(owner: Account) -> list[Event]:
    now = utc_now()
    rows = [
        (0.0, 60, "gate", (47.5, 7.5)),
        (0.05, 50, "lobby", (47.6, 7.6)),
        (0.02, 40, "gate", None),
        (1.5, 30, "gate", None),
    ]
    return [
        make_event(owner, vector(angle), create_time=now - timedelta(minutes=ago), source=source,
                   latitude=place and place[0], longitude=place and place[1])
        for angle, ago, source, place in rows
    ]  # fmt: skip


def test_a_person_is_traced_over_sources_and_time(desk: Client, operator: Account) -> None:
    events = trail_events(operator)
    make_event(make_account(), vector(0.0), create_time=utc_now())  # of another account
    page = desk.get(TRACE, {"event": str(events[1].event_id)})
    assert page.context["problems"] == {}
    trail = page.context["trail"]
    assert [each.event.pk for each in trail.sightings] == [each.pk for each in events[:3]]
    assert trail.sightings[1].similarity == pytest.approx(1.0)
    assert trail.sightings[1].pause == pytest.approx(timedelta(minutes=10), abs=timedelta(seconds=1))
    assert [(each.source, each.count) for each in trail.by_source] == [("gate", 2), ("lobby", 1)]
    assert [each["number"] for each in page.context["positions"]] == [1, 2]
    assert "one in 10,000" in page.context["rate"]
    assert trail.complete

    attribute = AttributeData(descriptors=(vector(0.01),))
    face = face_create(account_id=operator.pk, draft=FaceDraft(attribute=attribute))
    by_face = desk.get(TRACE, {"face": str(face.face_id), "sources": "gate"}).context["trail"]
    assert [each.event.pk for each in by_face.sightings] == [events[0].pk, events[2].pk]


def test_trails_of_others_and_of_nothing(desk: Client, operator: Account) -> None:
    foreign = make_event(make_account(), vector(0.0), create_time=utc_now())
    make_event(operator, vector(0.0), create_time=utc_now())
    assert desk.get(TRACE).context["trail"] is None
    page = desk.get(TRACE, {"event": str(foreign.event_id)})
    assert [each.event.pk for each in page.context["trail"].sightings] == [foreign.pk], "in its own account"
    assert page.context["account"].pk == foreign.account_id
    for query in ({"event": str(uuid4())}, {"face": str(uuid4())}):
        assert "not found" in desk.get(TRACE, query).context["problems"][""]
    assert "similarity" in desk.get(TRACE, {"event": str(foreign.event_id), "similarity": "2"}).context["problems"]


def test_only_the_tiles_of_the_setting_are_loaded(desk: Client) -> None:
    assert "tiles.example" not in desk.get(TRACE)["Content-Security-Policy"]
    with override_config(Map, tiles_url="https://tiles.example/{z}/{x}/{y}.png"):
        policy = desk.get(TRACE)["Content-Security-Policy"]
    assert "img-src 'self' https://tiles.example data:" in policy
