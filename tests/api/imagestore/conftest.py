import pytest
from django.test import Client

from apps.accounts.models import Account
from tests.factories import client_of


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture(autouse=True)
def _store(store: str) -> None:
    """All tests of this folder run on every storage."""
