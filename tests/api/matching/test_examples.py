"""The examples of the OpenAPI document: each is a valid request, and each response has the documented members."""

from typing import Any

import pytest
from rest_framework.serializers import Serializer

from apps.matching.api import examples
from apps.matching.api.serializers import BodyMatchBody, MatchBody, RawMatchBody
from tests.conformance.answers import validator


@pytest.mark.parametrize(
    ("serializer", "value"),
    [
        pytest.param(serializer, value, id=name)
        for serializer, bodies in (
            (MatchBody, examples.FACES),
            (BodyMatchBody, examples.BODIES),
            (RawMatchBody, examples.RAW),
        )
        for name, value in bodies.items()
    ],
)
def test_requests_are_valid(serializer: type[Serializer[Any]], value: Any) -> None:
    parsed = serializer(data=value)
    assert parsed.is_valid(), parsed.errors


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/6/matcher/faces", examples.FACES_ANSWER),
        ("/6/matcher/bodies", examples.BODIES_ANSWER),
        ("/6/matcher/raw", examples.RAW_ANSWER),
    ],
)
def test_responses_have_the_documented_shape(path: str, value: Any) -> None:
    validator("post", path, "200").validate(value)
