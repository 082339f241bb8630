"""An operator and the site as that operator sees it."""

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from tests.factories import make_account


@pytest.fixture
def operator(db: None) -> Account:
    login = make_account()
    account_update(account=login, roles=[Role.OPERATOR])
    return login


@pytest.fixture
def desk(operator: Account) -> Client:
    client = Client()
    client.force_login(operator)
    return client
