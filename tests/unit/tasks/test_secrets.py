"""Secrets of contents: sealed, masked, opened, kept by masks at the same address only."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr
from rest_framework import serializers

from apps.common import errors
from apps.common.config import Services
from apps.common.errors import LunaError
from apps.common.secrets import MASK
from apps.tasks.secrets import content_mask, content_open, content_seal
from apps.tasks.types.base import Result, SubtaskRun, TaskType


class Kind(TaskType):
    name = "secretive"
    number = 1234
    Content: ClassVar[type[serializers.Serializer[Any]]] = serializers.Serializer
    secrets = (("source", "authorization", "password"), ("token",))

    def process(self, run: SubtaskRun) -> Result:
        return None


KIND = Kind()


def content(password: str | None = "p4ss", host: str = "a") -> dict[str, Any]:  # noqa: S107
    return {"source": {"host": host, "authorization": {"user": "u", "password": password}}}


def test_secrets_are_sealed_masked_and_opened() -> None:
    plain = content() | {"token": "t"}
    sealed = content_seal(KIND, plain)
    assert "p4ss" not in str(sealed)
    assert content_open(KIND, sealed) == plain
    masked = content_mask(KIND, sealed)
    assert masked == content(MASK) | {"token": MASK} == content_mask(None, sealed)
    for without in (content(None), {"source": {"authorization": None}}, {"source": 5}, {}):
        assert content_seal(KIND, without) == without == content_mask(KIND, without) == content_open(KIND, without)


def test_a_mask_keeps_the_secret_of_the_same_source_only() -> None:
    sealed = content_seal(KIND, content())
    again = content_seal(KIND, content(MASK) | {"other": 1}, sealed)
    assert content_open(KIND, again) == content() | {"other": 1}
    for kept in (None, sealed, content_seal(KIND, content(None))):
        with pytest.raises(LunaError, match=r"content\.source\.authorization\.password") as refused:
            content_seal(KIND, content(MASK, host="evil"), kept)
        assert refused.value.code == errors.INVALID_JSON
    with pytest.raises(LunaError):
        content_seal(KIND, {"token": MASK}, content_seal(KIND, {"token": "t"}))


@pytest.mark.parametrize("value", [5, True, ["p4ss"], {"sealed": "p4ss"}])
def test_a_secret_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(LunaError, match=r"content\.source\.authorization\.password") as refused:
        content_seal(KIND, content(value))
    assert refused.value.code == errors.INVALID_JSON


def test_a_secret_of_another_key_is_28041(configure: Callable[..., None]) -> None:
    sealed = content_seal(KIND, content())
    configure(Services, secret_key=SecretStr("k" * 50))
    with pytest.raises(LunaError) as error:
        content_open(KIND, sealed)
    assert error.value.code == 28041
    assert content_mask(KIND, sealed) == content(MASK)
