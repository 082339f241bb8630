"""GET /6/events and GET, HEAD /6/events/{event_id}."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.filters import TERMS
from apps.events.api.serializers import EventsQuery
from apps.events.config import EventsSearch
from apps.events.shapes import TARGETS, StoredEventJson
from tests.factories import basic_client, client_of, ids, make_account, make_event, token_client

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def found(client: Client, **query: Any) -> list[UUID]:
    answer = client.get("/6/events", query)
    assert answer.status_code == 200, answer.content
    return ids(answer.json()["events"], "event_id")


def failed(client: Client, path: str, status: int, code: int, **query: Any) -> str:
    answer = client.get(path, query)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    return str(answer.json()["detail"])


def test_event_in_its_stored_form(client: Client, account: Account) -> None:
    list_id, face_id, similar_id, handler_id = uuid4(), uuid4(), uuid4(), uuid4()
    matches = [
        {"label": "vip", "candidates": [{"face": {"face_id": str(similar_id)}, "event": None, "similarity": 0.9}]}
    ]
    rect = {"x": 1, "y": 2, "width": 3, "height": 4}
    unknown = dict.fromkeys(("detect_time", "detect_ts", "image_origin"))
    detections = [{"sample_id": str(uuid4()), "detection": {"rect": rect}, **unknown}]
    event = make_event(
        account,
        create_time=NOW,
        handler_id=handler_id,
        source="gate",
        external_id="e",
        user_data="u",
        tags=["vip"],
        meta={"a": 1},
        city="Oslo",
        longitude=10.75,
        latitude=59.91,
        face_id=face_id,
        attach_result=[list_id],
        gender=1,
        age=30,
        emotion=5,
        top_matching_candidates_label="vip",
        top_similar_object_id=similar_id,
        top_similar_object_type=0,
        top_similar_object_similarity=0.9,
        top_similar_external_id="x",
        match_result=matches,
        face_detections=detections,
        apparent_age=31,
        headwear_state=1,
        headwear_apparent_color=2,
        sleeve_length=1,
        upper_clothing_colors=[1, 8],
        lower_garment_type=1,
    )
    time = NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = client.get(f"/6/events/{event.event_id}").json()
    insert_time = body.pop("insert_time")
    assert timedelta(0) <= datetime.fromisoformat(insert_time) - NOW < timedelta(hours=1)  # of the run
    assert body == {
        "event_id": str(event.event_id),
        "account_id": str(account.account_id),
        "handler_id": str(handler_id),
        "source": "gate",
        "stream_id": None,
        "track_id": None,
        "external_id": "e",
        "user_data": "u",
        "tags": ["vip"],
        "create_time": time,
        "end_time": time,
        "face_id": str(face_id),
        "gender": 1,
        "age": 30,
        "emotion": 5,
        "ethnic_group": None,
        "mask": None,
        "liveness": None,
        "deepfake": None,
        "attach_result": [str(list_id)],
        "top_match": {
            "label": "vip", "similarity": 0.9, "face_id": str(similar_id), "event_id": None, "external_id": "x"
        },
        "match_result": matches,
        "face_detections": detections,
        "body_detections": [],
        "body_basic_attributes": {"apparent_age": 31, "apparent_gender": None},
        "upper_body": {
            "headwear": {"state": 1, "apparent_color": "black"},
            "sleeve": {"length": "long"},
            "upper_clothing": {"colors": ["black", "white"]},
        },
        "lower_body": {"lower_garment": {"type": "trousers", "colors": None}, "shoes": {"apparent_color": None}},
        "accessories": None,
        "location": {
            "city": "Oslo", "area": None, "district": None, "street": None, "house_number": None,
            "geo_position": {"longitude": 10.75, "latitude": 59.91},
        },
        "meta": {"a": 1},
    }  # fmt: skip
    assert client.get("/6/events").json()["events"] == [{**body, "insert_time": insert_time}]


def test_empty_event(client: Client, account: Account) -> None:
    event = make_event(account, create_time=NOW)
    body = client.get(f"/6/events/{event.event_id}").json()
    assert set(body) == set(TARGETS) == set(StoredEventJson.__annotations__)
    for name in ("top_match", "body_basic_attributes", "upper_body", "lower_body", "accessories", "meta"):
        assert body[name] is None
    assert body["location"]["geo_position"] is None


def test_pages_newest_first(client: Client, account: Account) -> None:
    events = [make_event(account, create_time=NOW - timedelta(minutes=each)).event_id for each in range(5)]
    assert found(client) == events
    assert found(client, page=2, page_size=2) == events[2:4]
    assert found(client, page=4, page_size=2) == []
    assert found(client, order="asc", page_size=2) == [events[4], events[3]]


def test_events_of_one_moment_have_an_order(client: Client, account: Account) -> None:
    events = [make_event(account, create_time=NOW).event_id for _ in range(4)]
    assert found(client) == events[::-1]
    assert found(client, order="asc") == events


def test_default_window_is_the_last_month(client: Client, account: Account) -> None:
    old = make_event(account, create_time=NOW - timedelta(days=31), source="gate")
    new = make_event(account, create_time=NOW - timedelta(days=29), source="gate")
    assert found(client) == found(client, sources="gate") == [new.event_id]
    both = [new.event_id, old.event_id]
    zero, last = UUID(int=0), UUID(int=2**128 - 1)
    assert found(client, create_time__gte="now-32d") == both
    assert found(client, create_time__lt=NOW.isoformat()) == both
    assert found(client, event_id__gte=zero) == found(client, event_id__lt=last) == both
    assert found(client, event_ids=f"{old.event_id},{new.event_id}") == both


def test_the_default_window_is_a_setting(client: Client, account: Account, configure: Callable[..., None]) -> None:
    events = [make_event(account, create_time=NOW - timedelta(days=days)).event_id for days in (1, 3)]
    configure(EventsSearch, default_window_days=2)
    assert found(client) == events[:1]
    configure(EventsSearch, default_window_days=4)
    assert found(client) == events


def test_filters_hold_together(client: Client, account: Account) -> None:
    wanted = make_event(account, create_time=NOW, source="gate", age=30, gender=1, tags=["a", "b"], emotion=4)
    make_event(account, create_time=NOW, source="gate", age=17, gender=1, tags=["a"])
    make_event(account, create_time=NOW, source="door", age=30, gender=1, tags=["a"])
    unknown = make_event(account, create_time=NOW)
    query = {"sources": "gate,hall", "age__gte": 18, "gender": 1, "tags": "b,c", "emotions": "4,null"}
    assert found(client, **query) == [wanted.event_id]
    assert found(client, sources="null") == [unknown.event_id]


def test_meta(client: Client, account: Account) -> None:
    hot = make_event(account, create_time=NOW, meta={"user": {"temperature": "37.6"}})
    cold = make_event(account, create_time=NOW, meta={"user": {"temperature": 36.6}})
    none = make_event(account, create_time=NOW)
    assert found(client, **{"meta.user.temperature__gte:numeric": "37"}) == [hot.event_id]
    assert found(client, **{"meta.user.temperature__lt:numeric": "37"}) == [cold.event_id]
    assert found(client, **{"meta.user.temperature": "37.6"}) == [hot.event_id]
    assert found(client, meta="null") == [none.event_id]
    assert "meta.user:date" in failed(client, "/6/events", 400, 12012, **{"meta.user:date": "1"})


def test_area(client: Client, account: Account) -> None:
    near = make_event(account, create_time=NOW, longitude=10.0, latitude=60.0)
    far = make_event(account, create_time=NOW, longitude=10.5, latitude=60.0)
    nowhere = make_event(account, create_time=NOW)
    assert found(client, origin_longitude=10.005, origin_latitude=60) == [near.event_id]
    wide = {"origin_longitude": 10, "origin_latitude": 60, "longitude_delta": 1}
    assert found(client, **wide) == [far.event_id, near.event_id]
    assert found(client, origin_longitude="null", origin_latitude="null") == [nowhere.event_id]


def test_targets(client: Client, account: Account) -> None:
    event = make_event(account, create_time=NOW, source="gate")
    expected = {"event_id": str(event.event_id), "source": "gate"}
    assert client.get("/6/events?targets=source,event_id").json() == {"events": [expected]}
    assert client.get(f"/6/events/{event.event_id}?targets=source,event_id").json() == expected
    for name in TARGETS:
        assert list(client.get(f"/6/events/{event.event_id}?targets={name}").json()) == [name]


@pytest.mark.parametrize("path", ["/6/events", f"/6/events/{uuid4()}"])
def test_unknown_target(client: Client, path: str) -> None:
    assert "nonsense" in failed(client, path, 400, 23005, targets="event_id,nonsense")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "0"),
        ("page_size", "0"),
        ("page_size", "1001"),
        ("page_size", "1000000000"),
        ("page", "9" * 30),
        ("order", "up"),
        ("event_ids", "1"),
        ("emotions", "9"),
        ("create_time__gte", "x"),
        ("origin_latitude", "1"),
        ("top_similar_object_similarity__gte", "nan"),
        ("sources", "a\0b"),
    ],
)
def test_bad_query(client: Client, name: str, value: str) -> None:
    detail = failed(client, "/6/events", 400, 12012, **{name: value})
    assert ("origin_longitude" if name == "origin_latitude" else name) in detail


def test_far_pages_are_empty(client: Client) -> None:
    assert found(client, page=2**31 - 1, page_size=100) == []


@pytest.mark.parametrize("event_id", [str(uuid4()), "nonsense"])
def test_unknown_event(client: Client, event_id: str) -> None:
    failed(client, f"/6/events/{event_id}", 404, 23001)
    assert client.head(f"/6/events/{event_id}").status_code == 404


def test_head(client: Client, account: Account) -> None:
    answer = client.head(f"/6/events/{make_event(account, create_time=NOW).event_id}")
    assert (answer.status_code, answer.content) == (200, b"")


def test_other_accounts_see_nothing(client: Client, account: Account) -> None:
    event = make_event(account, create_time=NOW)
    stranger = client_of(make_account())
    assert found(stranger) == found(stranger, event_ids=event.event_id) == []
    failed(stranger, f"/6/events/{event.event_id}", 404, 23001)
    assert stranger.head(f"/6/events/{event.event_id}").status_code == 404
    for path in ("/6/events", f"/6/events/{event.event_id}"):
        failed(stranger, path, 403, 11063, account_id=account.account_id)


def test_advanced_user_reads_another_account(account: Account) -> None:
    event = make_event(account, create_time=NOW)
    make_event(make_account(), create_time=NOW)
    reader = basic_client(make_account(AccountType.ADVANCED_USER))
    assert found(reader, account_id=account.account_id) == [event.event_id]


def test_token_needs_view(account: Account) -> None:
    event = make_event(account, create_time=NOW)
    for path in ("/6/events", f"/6/events/{event.event_id}"):
        failed(token_client(account, event=["matching"], face=["view"]), path, 403, 11059)
        assert token_client(account, event=["view"]).get(path).status_code == 200


def test_no_credentials() -> None:
    failed(Client(), "/6/events", 403, 12010)


def test_events_are_immutable(client: Client, account: Account) -> None:
    path = f"/6/events/{make_event(account, create_time=NOW).event_id}"
    for method in ("put", "patch", "delete", "post"):
        assert getattr(client, method)(path).status_code == 405
    assert client.delete("/6/events").status_code == 405


def test_number_of_queries_is_constant(
    client: Client, account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    found(client)
    for count in (1, 20):
        for _ in range(count):
            make_event(account, create_time=NOW, source="gate")
        with django_assert_num_queries(2):  # the account, the events
            found(client, sources="gate", page_size=100)


def test_every_term_is_a_documented_parameter() -> None:
    assert set(TERMS) <= set(EventsQuery().fields)


def test_a_deep_page_begins_where_the_page_before_ended(
    client: Client, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of equal times follow one another without gap or repetition, in both orders, also without the cache."""
    events = [make_event(account, create_time=NOW, source="gate") for _ in range(7)]
    make_event(account, create_time=NOW, source="hall")
    monkeypatch.setattr("apps.events.positions.DEEP_ROWS", 2)
    expected = [event.event_id for event in events]
    for order, wanted in (("asc", expected), ("desc", expected[::-1])):
        query = {"sources": "gate", "order": order, "page_size": 2}
        pages = [found(client, page=number, **query) for number in range(1, 5)]
        assert [event_id for page in pages for event_id in page] == wanted
        cache.clear()
        assert found(client, page=3, **query) == pages[2]
        assert found(client, page=4, targets="event_id", **query) == pages[3]
        assert found(client, page=5, **query) == []


def test_a_new_event_does_not_shift_a_deep_page(
    client: Client, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [make_event(account, create_time=NOW - timedelta(minutes=age)) for age in range(1, 6)]
    monkeypatch.setattr("apps.events.positions.DEEP_ROWS", 2)
    assert found(client, page=1, page_size=2) == [event.event_id for event in events[:2]]
    make_event(account, create_time=NOW)
    assert found(client, page=2, page_size=2) == [event.event_id for event in events[2:4]]
    other = make_account()
    assert found(client_of(other), page=2, page_size=2) == []


def test_insert_time_selects_partitions(client: Client, account: Account) -> None:
    event = make_event(account, create_time=NOW)
    stored = event.insert_time
    before, after = (stored - timedelta(microseconds=1)).isoformat(), (stored + timedelta(microseconds=1)).isoformat()
    assert found(client, insert_time__gte=stored.isoformat()) == [event.event_id]
    assert found(client, insert_time__lt=after, insert_time__gte=before) == [event.event_id]
    assert found(client, insert_time__gte=after) == found(client, insert_time__lt=stored.isoformat()) == []
    assert found(client, insert_time__gte="0001-01-01T00:00:00Z", insert_time__lt="9999-12-31T23:59:59.999999Z") == [
        event.event_id
    ]


def test_searches_of_meta_read_pages_in_order(client: Client, account: Account) -> None:
    events = [
        make_event(account, create_time=NOW - timedelta(minutes=age), meta={"gate": f"{age % 2}"}) for age in range(6)
    ]
    query = {"meta.gate": "1", "page_size": 2}
    assert found(client, **query) == [events[1].event_id, events[3].event_id]
    assert found(client, page=2, **query) == [events[5].event_id]
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_sort")
        assert cursor.fetchone() == ("on",)


@pytest.mark.parametrize("number", [1e40, 1e300, 2**63, -1e30, 12])
def test_large_numbers_of_meta(client: Client, account: Account, number: float) -> None:
    event = make_event(account, create_time=NOW, meta={"number": number})
    for path in ("/6/events", f"/6/events/{event.event_id}"):
        answer = client.get(path)
        assert answer.status_code == 200
        body = answer.json()
        assert (body["events"][0] if "events" in body else body)["meta"]["number"] == pytest.approx(number)
