"""The filter language: requests and policies are read as the vocabulary says."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.common.filters import (
    EventFilterSerializer,
    PolicyFilterSerializer,
    SubscriptionSerializer,
    accepts,
    to_q,
)
from apps.common.filters.conditions import AREA, Box, LabelSimilarity
from apps.common.filters.enums import Emotion

UUIDS = [uuid.UUID(int=1), uuid.UUID(int=2)]


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
