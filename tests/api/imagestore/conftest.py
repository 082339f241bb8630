import io
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from PIL import Image

from apps.accounts.models import Account
from tests.factories import client_of, make_account
from tests.unit.imagestore.conftest import s3_address, store

__all__ = ["s3_address", "store"]


def picture(size: tuple[int, int] = (250, 250), form: str = "JPEG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 64).convert(mode).save(buffer, form)
    return buffer.getvalue()


def post(client: Client, path: str, data: bytes, content_type: str = "image/jpeg", **extra: Any) -> Any:
    return client.post(path, data, content_type=content_type, **extra)


def stored(client: Client, path: str, data: bytes, content_type: str = "image/jpeg", **extra: Any) -> UUID:
    """The id of what a POST to `path` made."""
    answer = post(client, path, data, content_type, **extra)
    assert answer.status_code == 201, answer.content
    return UUID(next(iter(answer.json().values())))


def refused(answer: Any, status: int, code: int) -> str:
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.content
    assert set(answer.json()) == {"error_code", "desc", "detail", "link"}
    return str(answer.json()["detail"])


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture
def stranger(db: None) -> Client:
    return client_of(make_account())


@pytest.fixture(autouse=True)
def _store(store: str) -> None:
    """All tests of this folder run on every storage."""
