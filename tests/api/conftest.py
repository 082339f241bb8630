"""Fixtures: accounts, the admin site and stored objects."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.config import override_config
from apps.events.models import Event, EventDescriptor
from apps.faces.models import Face, FaceDescriptor, ListFace
from apps.imagestore.models import StoredObject
from apps.recognition.config import Runtime
from apps.recognition.run import facade
from tests.api.helpers import Stored
from tests.conformance.answers import check_answer
from tests.factories import client_of, make_account


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


@pytest.fixture
def admin(db: None) -> Account:
    return make_account(AccountType.ADMIN)


@pytest.fixture
def owner(db: None) -> Account:
    """The account whose rows the admin site shows."""
    return make_account()


@pytest.fixture
def site(admin: Account) -> Client:
    """The admin site as an administrator sees it."""
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def stranger(db: None) -> Client:
    return client_of(make_account())


@pytest.fixture
def stored(redis_client: "redis.Redis", db: None) -> Callable[[], Stored]:
    """Counts rows, files and keys."""
    folder = Path(settings.STORAGES["default"]["OPTIONS"]["location"])

    def count() -> Stored:
        return Stored(
            events=Event.objects.unscoped().count(),
            event_descriptors=EventDescriptor.objects.count(),
            faces=Face.objects.unscoped().count(),
            face_descriptors=FaceDescriptor.objects.count(),
            links=ListFace.objects.count(),
            objects=StoredObject.objects.unscoped().count(),
            files=sum(path.is_file() for path in folder.rglob("*")),
            keys=len(redis_client.keys("luna:attribute:*")),
        )

    return count


@pytest.fixture
def no_rotation() -> Iterator[None]:
    """Only EXIF rotates pictures."""
    facade.shut_down()
    with override_config(Runtime, use_auto_rotation=False):
        yield
    facade.shut_down()


@pytest.fixture(autouse=True)
def _answers_are_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every JSON answer of a test's clients against the OpenAPI document."""
    send = Client.request

    def request(self: Client, **environment: Any) -> Any:
        response = send(self, **environment)
        check_answer(environment["REQUEST_METHOD"], environment["PATH_INFO"], response)
        return response

    monkeypatch.setattr(Client, "request", request)
