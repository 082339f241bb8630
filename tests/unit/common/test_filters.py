"""The filter language: SQL and memory agree on every term."""

import os
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common.filters import (
    TERMS,
    EventFilterSerializer,
    Term,
    accepts,
    to_q,
)
from apps.common.filters.columns import ARRAYS, NULLABLE, AnyColumn, ColumnCondition
from apps.common.filters.conditions import AREA, Box
from apps.common.filters.meta import META, MetaCondition, meta_condition
from apps.common.filters.operators import EQUAL, OVERLAP
from apps.events.models import Event

EVENTS = int(os.environ.get("FILTER_EVENTS", "300"))  # the thorough run takes 10,000
START = datetime(2026, 1, 1, tzinfo=UTC)
UUIDS = [uuid.UUID(int=number << 124) for number in range(1, 9)]
TEXTS = ["", "a", "A", "b,c", "ä 1", "null", "%", "a_b"]
TIMES = [START + timedelta(microseconds=3 * step) for step in range(8)]
POOLS: dict[str, list[Any]] = {
    "uuid": UUIDS,
    "time": TIMES,
    "text": TEXTS,
    "similarity": [0.0, 0.25, 0.5, 0.50000000001, 1.0],
    "age": [0, 17, 18, 19, 150],
    "number": [0, 1, 2, 3, 4, 7],
}
LONGITUDES = [-180.0, -179.5, -10.0, 0.0, 10.0, 179.5, 180.0]
LATITUDES = [-90.0, -89.5, 0.0, 0.01, 89.5, 90.0]
TEXT_COLUMNS = {
    "external_id", "user_data", "source", "track_id", "tags", "top_similar_external_id", "city", "area", "district",
    "street", "house_number", "top_matching_candidates_label",
}  # fmt: skip
COLUMNS = sorted({term.column for term in TERMS.values()})


def pool(column: str) -> list[Any]:
    if column.endswith("_time"):
        return POOLS["time"]
    if column.endswith("age"):
        return POOLS["age"]
    if column.endswith("similarity"):
        return POOLS["similarity"]
    if column in TEXT_COLUMNS:
        return POOLS["text"]
    return POOLS["uuid"] if column.endswith("_id") else POOLS["number"]


def nullable(column: str) -> bool:
    return bool(Event._meta.get_field(column).null)


def random_facts(dice: random.Random) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for column in COLUMNS:
        if nullable(column) and dice.random() < 0.2:
            facts[column] = None
        elif Event._meta.get_field(column).get_internal_type() == "ArrayField":
            facts[column] = dice.sample(pool(column), dice.randrange(3))
        else:
            facts[column] = dice.choice(pool(column))
    placed = dice.random() < 0.8
    facts |= {"longitude": dice.choice(LONGITUDES), "latitude": dice.choice(LATITUDES)} if placed else {}
    return {"longitude": None, "latitude": None} | facts | {"event_id": uuid.UUID(int=dice.getrandbits(128))}


METAS: list[Any] = [
    None, {}, [], "a", 3,
    {"a": "b"}, {"a": "B"}, {"a": "ä"}, {"a": ""}, {"a": None}, {"a": True}, {"a": ["b"]}, {"a": {"b": "x%y_z"}},
    {"a": {"b": 3}}, {"a": {"b": "3"}}, {"a": {"b": "3.0"}}, {"a": {"b": 3.5}}, {"a": {"b": -1e-7}}, {"a": {"b": 1e21}},
    {"a": {"b": "3x"}}, {"a": 3}, {"a": -3}, {"a": "3.25"}, {"a": 10**17}, {"a.b": "c"},
]  # fmt: skip


@pytest.fixture
def events(db: None) -> dict[uuid.UUID, dict[str, Any]]:
    """Random events, as stored and as facts."""
    account = Account.objects.create_user("filters@luna.test", "correct horse")
    dice = random.Random(2026)
    facts = [random_facts(dice) | {"meta": METAS[number % len(METAS)]} for number in range(EVENTS)]
    Event.objects.bulk_create(Event(account=account, **one) for one in facts)
    # insert_time is written by the database layer: the facts take what was stored.
    stored = dict(Event.objects.unscoped().values_list("event_id", "insert_time"))
    return {one["event_id"]: one | {"insert_time": stored[one["event_id"]]} for one in facts}


def value_of(term: Term) -> st.SearchStrategy[Any]:
    one = st.sampled_from(pool(term.column))
    if not term.operator.many:
        return one
    return st.lists(st.none() | one if term.nullable else one, min_size=1, max_size=4)


boxes = st.builds(
    Box.around,
    st.sampled_from(LONGITUDES),
    st.sampled_from(LATITUDES),
    st.sampled_from([0.0, 0.01, 1.0, 20.0, 90.0]),
    st.sampled_from([0.0, 0.01, 1.0, 90.0]),
)
texts = st.sampled_from(["", "b", "B", "ä", "%", "_", "x%y", "3", "3.0", "\\"])
numbers = st.sampled_from([3, -3, "3.0", "3.25", 3.5, "0.0000001", 10**17, "-0.0000002"])
paths = st.sampled_from(["a", "a.b", "a.b.c", "z"])


@st.composite
def meta_conditions(draw: st.DrawFn) -> MetaCondition:
    kind = draw(st.sampled_from(["string", "numeric"]))
    operators = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "nin"] + ["like", "nlike"] * (kind == "string")
    operator = draw(st.sampled_from(operators))
    one = texts if kind == "string" else numbers
    value = draw(st.lists(one, min_size=1, max_size=3) if operator in ("in", "nin") else one)
    return meta_condition(f"meta.{draw(paths)}__{operator}:{kind}", value)


conditions = {name: value_of(term) for name, term in TERMS.items()} | {
    AREA.name: st.none() | boxes,
    META.name: st.none() | st.lists(meta_conditions(), min_size=1, max_size=2),
}
reading = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def column_conditions(draw: st.DrawFn) -> AnyColumn:
    column = draw(st.sampled_from(COLUMNS))
    ordered = ["gt", "gte", "lt", "lte"] * (column not in ARRAYS)
    texts_only = ["like", "nlike"] * (column in TEXT_COLUMNS - ARRAYS)
    operator = draw(st.sampled_from(["eq", "neq", "in", "nin", *ordered, *texts_only]))
    one = st.sampled_from(pool(column))
    one = st.none() | one if operator in NULLABLE else one
    value = draw(st.lists(one, min_size=1, max_size=3) if operator in ("in", "nin") else one)
    return ColumnCondition(column, operator, value)


def in_sql(filters: dict[str, Any]) -> set[uuid.UUID]:
    return set(Event.objects.unscoped().filter(to_q(filters)).values_list("event_id", flat=True))


def in_memory(filters: dict[str, Any], events: dict[uuid.UUID, dict[str, Any]]) -> set[uuid.UUID]:
    return {event_id for event_id, facts in events.items() if accepts(filters, facts)}


@reading
@given(data=st.data())
def test_sql_and_memory_agree(events: dict[uuid.UUID, dict[str, Any]], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(conditions)), min_size=1, max_size=3, unique=True))
    filters = {name: data.draw(conditions[name]) for name in names}
    assert in_sql(filters) == in_memory(filters, events)


@reading
@given(condition=column_conditions())
def test_columns_in_sql_and_memory(events: dict[uuid.UUID, dict[str, Any]], condition: AnyColumn) -> None:
    found = set(Event.objects.unscoped().filter(condition.q()).values_list("event_id", flat=True))
    assert found == {event_id for event_id, facts in events.items() if condition.holds(facts)}


@reading
@given(condition=meta_conditions())
def test_meta_in_sql_and_memory(events: dict[uuid.UUID, dict[str, Any]], condition: MetaCondition) -> None:
    filters = {META.name: [condition]}
    assert in_sql(filters) == in_memory(filters, events)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("meta.a", "b", [{"a": "b"}]),
        ("meta.a.b", "x%y_z", [{"a": {"b": "x%y_z"}}]),
        ("meta.a.b__like", "%y_", [{"a": {"b": "x%y_z"}}]),
        ("meta.a__in", "b,ä", [{"a": "b"}, {"a": "ä"}]),
        ("meta.a__lt:integer", "3", [{"a": -3}]),
        ("meta.a.b:numeric", "3", [{"a": {"b": 3}}, {"a": {"b": "3"}}, {"a": {"b": "3.0"}}]),
        ("meta.a.b__gte:numeric", "3.5", [{"a": {"b": 3.5}}, {"a": {"b": 1e21}}]),
        ("meta.a__nin:numeric", "3,-3", [{"a": "3.25"}, {"a": 10**17}]),
        ("meta", "null", [None]),
    ],
)
def test_meta(events: dict[uuid.UUID, dict[str, Any]], name: str, value: str, expected: list[Any]) -> None:
    query = QueryDict(mutable=True)
    query[name] = value
    serializer = EventFilterSerializer(data=query)
    serializer.is_valid(raise_exception=True)
    filters = serializer.validated_data["filters"]
    found = in_sql(filters)
    assert found == in_memory(filters, events)
    wanted = [events[event_id]["meta"] for event_id in found]
    assert all(each in expected for each in wanted)
    assert all(each in wanted for each in expected)


@pytest.mark.parametrize("name", sorted(set(TERMS) - {"event_ids", "insert_time__gte", "insert_time__lt"}))
def test_every_term_chooses(events: dict[uuid.UUID, dict[str, Any]], name: str) -> None:
    """Some value of each term takes some events and leaves others: none is blind."""
    term = TERMS[name]
    chosen = []
    for value in pool(term.column):
        filters = {name: [value] if term.operator.many else value}
        chosen.append(in_sql(filters))
        assert chosen[-1] == in_memory(filters, events)
    assert any(0 < len(ids) < len(events) for ids in chosen)


@pytest.mark.parametrize("name", sorted(name for name, term in TERMS.items() if term.nullable))
def test_null_selects_what_was_not_estimated(events: dict[uuid.UUID, dict[str, Any]], name: str) -> None:
    expected = {event_id for event_id, facts in events.items() if facts[TERMS[name].column] is None}
    assert expected
    assert in_sql({name: [None]}) == expected == in_memory({name: [None]}, events)


@given(data=st.data())
@settings(deadline=None, derandomize=True)
def test_facts_may_be_json(data: st.DataObject) -> None:
    """Facts that went through JSON (ids and times as strings) are judged alike."""
    facts = random_facts(random.Random(data.draw(st.integers(0, 1000))))
    name = data.draw(st.sampled_from(sorted(TERMS)))
    filters = {name: data.draw(value_of(TERMS[name]))}
    as_json = {
        key: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, uuid.UUID) else value
        for key, value in facts.items()
    }
    assert accepts(filters, as_json) == accepts(filters, facts)


def test_empty_filters_accept_everything(events: dict[uuid.UUID, dict[str, Any]]) -> None:
    assert accepts({}, {})
    assert len(in_sql({})) == len(events)


def test_a_missing_fact_is_a_missing_value() -> None:
    assert not accepts({"age__gte": 0}, {})
    assert accepts({"emotions": [None]}, {})


def test_vocabulary_matches_the_event_model() -> None:
    fields = {field.name for field in Event._meta.get_fields()}
    assert {term.column for term in TERMS.values()} <= fields
    for term in TERMS.values():
        is_array = Event._meta.get_field(term.column).get_internal_type() == "ArrayField"
        assert is_array == (term.operator is OVERLAP), term.name
        assert not term.nullable or nullable(term.column), term.name
        assert not (term.nullable and term.operator is EQUAL), term.name
