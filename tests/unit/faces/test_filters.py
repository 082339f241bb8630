"""Filters of faces and lists: SQL and memory agree on every term, and bad ones are refused as those of events are."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.filters import EventFilterSerializer, FilterSerializer, accepts
from apps.faces.filters import FACE_TERMS, LIST_TERMS, FaceFilterSerializer, ListFilterSerializer
from apps.faces.models import Face, List, ListFace
from tests.factories import make_account
from tests.unit.common.terms import check_agreement, check_choice, problems, reading

START = datetime(2026, 1, 1, tzinfo=UTC)
UUIDS = [UUID(int=number << 124) for number in range(1, 9)]
LISTS = UUIDS[:4]
POOLS: dict[str, list[Any]] = {  # by column, of the row and of the filters
    "event_id": UUIDS,
    "external_id": ["", "a", "A", "b,c", "ä 1", "null", "%", "a_b"],
    "user_data": ["", "a", "A", "ä", "%", "a_b"],
    "create_time": [START + timedelta(microseconds=3 * step) for step in range(8)],
    "last_update_time": [START + timedelta(microseconds=5 * step) for step in range(8)],
    "lists": UUIDS[:5],  # the last is no list
}
FACES, LISTS_MADE = 200, 40


def random_id(dice: random.Random) -> UUID:
    return UUID(int=dice.getrandbits(128))


def create_all(model: Any, rows: list[Any], *times: str) -> None:
    """Create rows with their own `times`, which Django would replace."""
    given = [[getattr(row, name) for name in times] for row in rows]
    model.objects.bulk_create(rows)
    for row, values in zip(rows, given, strict=True):
        for name, value in zip(times, values, strict=True):
            setattr(row, name, value)
    model.objects.unscoped().bulk_update(rows, times)


@pytest.fixture
def faces(db: None) -> dict[UUID, dict[str, Any]]:
    """Random faces, as stored and as facts."""
    account, dice = make_account(), random.Random(2026)
    rows = [List.objects.create(account=account, list_id=list_id) for list_id in LISTS]
    facts, made, links = [], [], []
    for key in range(1, FACES + 1):
        columns = {name: dice.choice(POOLS[name]) for name in ("event_id", "external_id", "user_data", "create_time")}
        columns |= {"face_id": random_id(dice), "event_id": dice.choice([None, *UUIDS])}
        members = dice.sample(rows, dice.randrange(3))
        made.append(Face(id=key, account=account, **columns))
        links += [ListFace(list=row, face_id=key, link_key=key) for row in members]
        facts.append(columns | {"lists": [row.list_id for row in members]})
    create_all(Face, made, "create_time")
    ListFace.objects.bulk_create(links)
    return {one["face_id"]: one for one in facts}


@pytest.fixture
def lists(db: None) -> dict[UUID, dict[str, Any]]:
    """Random lists, as stored and as facts."""
    account, dice = make_account(), random.Random(2026)
    facts = [
        {"list_id": random_id(dice)}
        | {name: dice.choice(POOLS[name]) for name in ("user_data", "create_time", "last_update_time")}
        for _ in range(LISTS_MADE)
    ]
    rows = [List(id=key, account=account, **one) for key, one in enumerate(facts, start=1)]
    create_all(List, rows, "create_time", "last_update_time")
    return {one["list_id"]: one for one in facts}


@reading
@given(data=st.data())
def test_sql_and_memory_agree_on_faces(faces: dict[UUID, dict[str, Any]], data: st.DataObject) -> None:
    check_agreement(data, Face, "face_id", FACE_TERMS, faces, POOLS)


@reading
@given(data=st.data())
def test_sql_and_memory_agree_on_lists(lists: dict[UUID, dict[str, Any]], data: st.DataObject) -> None:
    check_agreement(data, List, "list_id", LIST_TERMS, lists, POOLS)


@pytest.mark.parametrize("name", sorted(FACE_TERMS))
def test_every_term_chooses_faces(faces: dict[UUID, dict[str, Any]], name: str) -> None:
    """Some value of each term takes some faces and leaves others: none is blind."""
    check_choice(Face, FACE_TERMS[name], faces, POOLS)


@pytest.mark.parametrize("name", sorted(LIST_TERMS))
def test_every_term_chooses_lists(lists: dict[UUID, dict[str, Any]], name: str) -> None:
    check_choice(List, LIST_TERMS[name], lists, POOLS)


def test_a_face_without_event_or_list_passes_no_filter_of_them() -> None:
    facts: dict[str, Any] = {"face_id": UUIDS[0], "event_id": None, "lists": []}
    for filters in ({"event_id": UUIDS[0]}, {"event_ids": [UUIDS[0]]}, {"list_id": UUIDS[0]}):
        assert not accepts(filters, facts, FACE_TERMS)
        assert not accepts(filters, {}, FACE_TERMS)


REFUSED = {
    "no value": "",
    "nothing but commas": ",,",
    "a character that PostgreSQL has not": "%00",
    "null": "null",
    "too long": "x" * 200,
    "no time, no id": "yesterday",
    "a time before all times": "now-999999999y",
    "an id in braces": f"{{{UUIDS[0]}}}",
    "too many": ",".join([str(UUIDS[0])] * 1001),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("serializer", [FaceFilterSerializer, ListFilterSerializer])
def test_what_events_refuse_is_refused(serializer: type[FilterSerializer], value: str) -> None:
    """Every term that events have too, with the same words."""
    shared = sorted(set(serializer.terms) & set(EventFilterSerializer.terms))
    assert len(shared) >= 2
    for name in shared:
        of_events = problems(EventFilterSerializer, f"{name}={value}")
        assert problems(serializer, f"{name}={value}") == of_events, name


@pytest.mark.parametrize(
    ("serializer", "query"),
    [
        (FaceFilterSerializer, f"event_id={UUIDS[0]},{UUIDS[1]}"),
        (FaceFilterSerializer, "list_id=null"),
        (FaceFilterSerializer, "face_id__lte=1"),
        (FaceFilterSerializer, "face_ids=,"),
        (FaceFilterSerializer, "external_ids="),
        (FaceFilterSerializer, "user_data=" + "x" * 129),
        (ListFilterSerializer, "list_ids="),
        (ListFilterSerializer, "list_ids=null"),
        (ListFilterSerializer, "user_data=%00"),
    ],
)
def test_bad_values_name_the_parameter(serializer: type[FilterSerializer], query: str) -> None:
    assert list(problems(serializer, query)) == [query.partition("=")[0]]


@pytest.mark.parametrize("value", [[], [5], [""], [None], {}, 5, True])
@pytest.mark.parametrize("serializer", [FaceFilterSerializer, EventFilterSerializer])
def test_json_that_is_no_text_is_refused(serializer: type[FilterSerializer], value: Any) -> None:
    assert list(problems(serializer, {"external_ids": value})) == ["external_ids"]
