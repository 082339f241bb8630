from uuid import UUID

import pytest

from apps.accounts.services import account_create


@pytest.fixture
def account(db: None) -> UUID:
    return account_create(login="owner@example.com", password="a-password").account_id


@pytest.fixture
def stranger(db: None) -> UUID:
    return account_create(login="stranger@example.com", password="a-password").account_id
