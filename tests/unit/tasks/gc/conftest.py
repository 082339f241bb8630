"""Fixtures of the tests of garbage collection."""

from pathlib import Path

import pytest

from apps.accounts.models import Account
from apps.tasks import tables
from tests.factories import make_account


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch: pytest.MonkeyPatch, store_dir: Path) -> None:
    """Only the stages themselves pass the places of the double."""
    monkeypatch.setattr(tables, "WATCH_S", 60)


@pytest.fixture
def account() -> Account:
    return make_account()
