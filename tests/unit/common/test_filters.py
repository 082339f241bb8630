"""The filter language: SQL and memory agree on every term, and requests are read as the vocabulary says."""

import os
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common.filters import (
    TERMS,
    EventFilterSerializer,
    PolicyFilterSerializer,
    SubscriptionSerializer,
    Term,
    accepts,
    to_q,
)
from apps.common.filters.columns import ARRAYS, NULLABLE, AnyColumn, ColumnCondition
from apps.common.filters.conditions import AREA, Box, LabelSimilarity
from apps.common.filters.enums import Emotion
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


def read(serializer_class: type[Any], query: str) -> dict[str, Any]:
    serializer = serializer_class(data=QueryDict(query))
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data["filters"]


def errors(serializer_class: type[Any], data: Any) -> dict[str, Any]:
    serializer = serializer_class(data=QueryDict(data) if isinstance(data, str) else data)
    assert not serializer.is_valid()
    return serializer.errors


def test_query_is_read() -> None:
    query = f"event_ids={UUIDS[0]},{UUIDS[1]}&sources=a,null&emotions=1,7&age__gte=18&gender=1&user_data=x,y&tags=vip"
    assert read(EventFilterSerializer, query) == {
        "event_ids": UUIDS[:2],
        "sources": ["a", None],
        "emotions": [1, 7],
        "age__gte": 18,
        "gender": [1],
        "user_data": "x,y",
        "tags": ["vip"],
    }


def test_relative_time_is_read() -> None:
    now = datetime.now(UTC)
    since = read(EventFilterSerializer, "create_time__gte=now-2h")["create_time__gte"]
    assert abs(now - timedelta(hours=2) - since) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("event_ids=x", "event_ids"),
        ("emotions=8", "emotions"),
        ("emotions=0", "emotions"),
        ("gender=2", "gender"),
        ("gender=", "gender"),
        ("event_ids=null", "event_ids"),
        ("age__gte=-1", "age__gte"),
        ("age__gte=99999999999999999999", "age__gte"),
        ("age__lt=null", "age__lt"),
        ("top_similar_object_similarity__gte=1.5", "top_similar_object_similarity__gte"),
        ("top_similar_object_similarity__gte=nan", "top_similar_object_similarity__gte"),
        ("create_time__gte=yesterday", "create_time__gte"),
        ("create_time__gte=now-999999999y", "create_time__gte"),
        ("origin_longitude=1", "origin_longitude"),
        ("origin_longitude=null&origin_latitude=1", "origin_longitude"),
        ("origin_longitude=inf&origin_latitude=1", "origin_longitude"),
        ("origin_longitude=1&origin_latitude=1&longitude_delta=90.5", "longitude_delta"),
        ("sources=" + "x" * 129, "sources"),
        ("meta=1", "meta"),
        ("meta.=1", "meta."),
        ("meta.a..b=1", "meta.a..b"),
        ("meta.a b=1", "meta.a b"),
        ("meta.a:float=1", "meta.a:float"),
        ("meta.a:integer=1.5", "meta.a:integer"),
        ("meta.a:numeric=nan", "meta.a:numeric"),
        ("meta.a__like:integer=1", "meta.a__like:integer"),
        ("meta.a=" + "x" * 1001, "meta.a"),
        ("meta.a=%00", "meta.a"),
    ],
)
def test_bad_query_names_the_parameter(query: str, name: str) -> None:
    assert list(errors(EventFilterSerializer, query)) == [name]


@given(delta=st.floats(0, 90), longitude=st.floats(-180, 180), latitude=st.floats(-90, 90), share=st.floats(-1, 1))
def test_area_holds_what_lies_in_it(delta: float, longitude: float, latitude: float, share: float) -> None:
    """A point within the deltas is inside of the area, also across the date line."""
    assume(abs(share) < 0.999)
    box = Box.around(longitude, latitude, delta, delta)
    point = (longitude + share * delta + 180.0) % 360.0 - 180.0
    assume(abs(abs(point) - 180.0) > 1e-6 and delta > 1e-3)
    assert accepts({AREA.name: box}, {"longitude": point, "latitude": max(min(latitude + share * delta, 90), -90)})


def test_area_across_the_date_line() -> None:
    box = read(EventFilterSerializer, "origin_longitude=179.99&origin_latitude=0&longitude_delta=0.1")[AREA.name]
    assert accepts({AREA.name: box}, {"longitude": -179.95, "latitude": 0.005})
    assert not accepts({AREA.name: box}, {"longitude": -179.85, "latitude": 0.005})
    assert not accepts({AREA.name: box}, {"longitude": 0.0, "latitude": 0.005})
    assert not accepts({AREA.name: box}, {"longitude": 179.99, "latitude": 0.02})


def test_subscription_aliases_are_the_same_terms() -> None:
    query = "matching_candidates_labels=vip,staff&object_similarity__gte=0.8"
    filters = read(SubscriptionSerializer, query)
    assert filters == {"top_matching_candidates_label": ["vip", "staff"], "top_similar_object_similarity__gte": 0.8}
    assert accepts(filters, {"top_matching_candidates_label": "vip", "top_similar_object_similarity": 0.8})
    assert not accepts(filters, {"top_matching_candidates_label": "vip", "top_similar_object_similarity": 0.79})


def policy(data: dict[str, Any]) -> dict[str, Any]:
    serializer = PolicyFilterSerializer(data=data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data["filters"]


def test_policy_filters_are_read() -> None:
    filters = policy({"gender": 1, "emotions": [4], "ethnicities": [4], "match": [{"label": "vip"}]})
    assert filters == {
        "gender": [1],
        "emotions": [4],
        "ethnic_groups": [4],
        "match": [LabelSimilarity("vip")],
    }


@pytest.mark.parametrize(
    ("similarity", "bounds", "held"),
    [
        (0.9, {}, True),
        (0.9, {"similarity__gte": 0.9}, True),
        (0.9, {"similarity__gt": 0.9}, False),
        (0.9, {"similarity__lt": 0.9}, False),
        (0.9, {"similarity__lte": 0.9}, True),
        (0.95, {"similarity__gte": 0.9, "similarity__lt": 0.95}, False),
    ],
)
def test_match_compares_the_best_candidate(similarity: float, bounds: dict[str, float], held: bool) -> None:
    facts = {
        "match_result": [
            {"label": "staff", "candidates": [{"similarity": 0.99}]},
            {"label": "vip", "candidates": [{"similarity": similarity}, {"similarity": 0.1}]},
        ]
    }
    assert accepts(policy({"match": [{"label": "vip", **bounds}]}), facts) is held
    assert accepts(policy({"match": [{"label": "none"}, {"label": "vip", **bounds}]}), facts) is held


@pytest.mark.parametrize(
    ("similarities", "bounds", "held"),
    [
        ([], {}, True),
        ([], {"similarity__gte": 0.8}, True),
        ([0.7, 0.6], {}, False),
        ([0.7, 0.6], {"similarity__gte": 0.8}, True),
        ([0.8, 0.6], {"similarity__gte": 0.8}, False),
    ],
)
def test_no_match_holds_for_whom_nobody_resembles(
    similarities: list[float], bounds: dict[str, float], held: bool
) -> None:
    candidates = [{"similarity": each} for each in similarities]
    facts = {"match_result": [{"label": "vip", "candidates": candidates}]}
    assert accepts(policy({"match": [{"label": "vip", "no_match": 1, **bounds}]}), facts) is held
    assert accepts(policy({"match": [{"label": "vip", "no_match": 0, **bounds}]}), facts) is not held
    unmatched = policy({"match": [{"label": "staff", "no_match": 1, **bounds}]})
    assert not accepts(unmatched, facts)


def test_the_best_candidate_of_several_policies_of_a_label() -> None:
    both = [{"label": "vip", "candidates": []}, {"label": "vip", "candidates": [{"similarity": 0.9}]}]
    assert accepts(policy({"match": [{"label": "vip", "similarity__gte": 0.8}]}), {"match_result": both})
    assert not accepts(policy({"match": [{"label": "vip", "no_match": 1}]}), {"match_result": both})


def test_match_without_candidates_is_not_held() -> None:
    filters = policy({"match": [{"label": "vip", "similarity__lt": 0.5}]})
    assert not accepts(filters, {"match_result": [{"label": "vip", "candidates": []}]})
    assert not accepts(filters, {})
    with pytest.raises(TypeError):
        to_q(filters)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"emotions": []}, "emotions"),
        ({"masks": []}, "masks"),
        ({"unknown": 1}, "unknown"),
        ({"match": [{"label": "vip", "similarity": 1}]}, "match"),
        ({"match": [{"similarity__gte": 1}]}, "match"),
        ({"match": {"label": "vip"}}, "match"),
    ],
)
def test_bad_policy_filters_are_refused(data: dict[str, Any], name: str) -> None:
    assert list(errors(PolicyFilterSerializer, data)) == [name]


def test_vocabulary_matches_the_event_model() -> None:
    fields = {field.name for field in Event._meta.get_fields()}
    assert {term.column for term in TERMS.values()} <= fields
    for term in TERMS.values():
        is_array = Event._meta.get_field(term.column).get_internal_type() == "ArrayField"
        assert is_array == (term.operator is OVERLAP), term.name
        assert not term.nullable or nullable(term.column), term.name
        assert not (term.nullable and term.operator is EQUAL), term.name


def test_words_and_numbers() -> None:
    assert Emotion.of("happiness") == 4
    assert Emotion(4).word == "happiness"
    with pytest.raises(KeyError):
        Emotion.of("boredom")


@pytest.mark.parametrize(
    ("origin", "point", "inside"),
    [
        ((0, 89.5), (180, 89.9), True),  # over the pole: 0.6 degrees from the origin
        ((0, 89.5), (180, 89.4), False),
        ((0, 89.5), (90, 89.9), False),  # beyond the longitudes on both sides
        ((0, 89.5), (77, 90), True),  # the pole has all longitudes
        ((0, -89.5), (-180, -89.9), True),
        ((10, -90), (-33, -90), True),
        ((179.5, 0), (-180, 0.5), True),  # -180 and 180 degrees are one meridian
        ((-179, 0), (180, 0), True),
        ((-180, 0), (180, 0), True),
        ((179, 89.5), (-1, 89.9), True),
    ],
)
def test_area_at_poles_and_on_the_date_line(
    origin: tuple[float, float], point: tuple[float, float], inside: bool
) -> None:
    area = {AREA.name: Box.around(*origin, 1, 1)}
    assert accepts(area, {"longitude": point[0], "latitude": point[1]}) is inside
