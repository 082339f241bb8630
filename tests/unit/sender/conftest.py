from collections.abc import Iterator
from uuid import UUID

import pytest

from apps.accounts.models import Account
from apps.sender.outbox import quota
from apps.sender.targets import TARGETS
from tests.factories import make_account
from tests.unit.sender import targets


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


@pytest.fixture(autouse=True)
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, UUID, str]]]:
    """Deliveries of the target `noted`."""
    monkeypatch.setitem(TARGETS, "noted", targets.Noted)
    targets.delivered.clear()
    targets.errors.clear()
    yield targets.delivered
    quota.close()
