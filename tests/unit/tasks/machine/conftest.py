"""Fixtures of the machine's tests."""

import pytest

from apps.accounts.models import Account
from tests.factories import make_account


@pytest.fixture
def owner() -> Account:
    return make_account()
