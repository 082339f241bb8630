"""Accounts of the conformance tests."""

import pytest

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from tests.factories import make_account


@pytest.fixture
def admin() -> Account:
    make_account(AccountType.ADMIN)  # another, so that this one may be deleted
    return make_account(AccountType.ADMIN)
