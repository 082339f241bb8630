"""The catalogue, the exception and the words of a validation error."""

import pickle
from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.http import Http404
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import exceptions, serializers

from apps.common.api.exceptions import as_luna_error
from apps.common.errors import CATALOGUE, LunaError, error_body
from apps.common.validation import describe_validation


def test_every_code_has_a_body() -> None:
    assert len(CATALOGUE) > 300
    for code, entry in CATALOGUE.items():
        assert 200 <= entry.status < 600
        body = LunaError(code, *["x"] * entry.detail.count("{value}")).body()
        assert set(body) == {"error_code", "desc", "detail", "link"}
        assert str(body["link"]).endswith(f"#{code}")
        assert "{value}" not in str(body["detail"])


def test_values_fill_the_detail() -> None:
    assert str(LunaError(41003, "abc").body()["detail"]).count("abc") == 1
    assert LunaError(12013, "more").detail.endswith(": more")
    assert "{value}" not in LunaError(41003).detail
    assert LunaError(41003, "{value}").detail == 'Token with id "{value}" not found', "values are no templates"


@given(st.sampled_from(sorted(CATALOGUE)), st.lists(st.text(max_size=20), max_size=4))
def test_any_values_make_a_body(code: int, values: list[str]) -> None:
    assert LunaError(code, *values).body()["error_code"] == code


def test_unknown_code_is_a_fault_of_the_program() -> None:
    with pytest.raises(KeyError):
        LunaError(999_999)


def test_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(LunaError(22002, "id", status=410, headers={"A": "b"})))  # noqa: S301
    assert (error.code, error.status, error.headers) == (22002, 410, {"A": "b"})
    assert error.detail == LunaError(22002, "id").detail


def test_success_body() -> None:
    assert error_body(0)["desc"] == "Success"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Http404(), 12013),
        (exceptions.NotFound(), 12013),
        (exceptions.MethodNotAllowed("PUT"), 12021),
        (exceptions.UnsupportedMediaType("a/b"), 12017),
        (exceptions.ParseError(), 12002),
        (exceptions.NotAuthenticated(), 12010),
        (exceptions.PermissionDenied(), 12033),
        (exceptions.ValidationError({"a": ["b"]}), 12027),
        (OperationalError("gone"), 10016),
        (DataError("out of range"), 12031),
    ],
)
def test_foreign_exceptions(error: Exception, code: int) -> None:
    found = as_luna_error(error)
    assert found is not None
    assert found.code == code


def test_a_crash_is_no_error_of_the_catalogue() -> None:
    assert as_luna_error(RuntimeError()) is None


class Inner(serializers.Serializer[Any]):
    limit = serializers.IntegerField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["limit"] == 13:
            raise serializers.ValidationError("unlucky.")
        return attrs


class Outer(serializers.Serializer[Any]):
    policies = Inner(many=True, required=False)
    inner = Inner(required=False)
    tags = serializers.ListField(child=serializers.IntegerField(), required=False)
    named = serializers.DictField(child=Inner(), required=False)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"policies": [{"limit": 1}, {"limit": "x"}]}, "policies.1.limit"),
        ({"policies": [{"limit": 1}, {}]}, "policies.1.limit"),
        ({"policies": [{"limit": 13}]}, "policies.0"),
        ({"policies": {}}, "policies"),
        ({"inner": {}}, "inner.limit"),
        ({"inner": []}, "inner"),
        ({"inner": {"limit": 13}}, "inner"),
        ({"tags": [1, "x", 3]}, "tags.1"),
        ({"tags": 7}, "tags"),
        ({"named": {"a": {"limit": "x"}}}, "named.a.limit"),
        ([], ""),
    ],
)
def test_path_of_a_validation_error(data: object, path: str) -> None:
    serializer = Outer(data=data)
    assert not serializer.is_valid()
    assert describe_validation(serializer.errors).endswith(f" Path: '{path}'")
