"""A connection that breaks at the commit: the rows may be stored, so their files are kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from apps.events.models import Event
from apps.imagestore.models import StoredObject
from tests.api.handlers.helpers import JPEG, astronaut, make_handler
from tests.factories import client_of, make_account


@pytest.mark.django_db(transaction=True)
def test_files_outlive_an_unanswered_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(make_account())
    handler = make_handler(client)
    commit: Callable[[], None] = getattr(connection, "_commit")  # noqa: B009 - Django keeps it private

    def breaks_after() -> None:
        commit()
        if Event.objects.unscoped().exists():
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(connection, "_commit", breaks_after)
    assert client.post(f"{handler}/events", astronaut(), JPEG).status_code >= 500
    monkeypatch.undo()

    (row,) = StoredObject.objects.unscoped()
    folder = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    assert list(folder.rglob(f"{row.object_id}.jpg"))
