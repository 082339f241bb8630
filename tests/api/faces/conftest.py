import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import DescriptorVersion
from tests.api.faces.helpers import OTHER, VERSION
from tests.factories import client_of, make_version


@pytest.fixture
def versions() -> dict[int, DescriptorVersion]:
    return {VERSION: make_version(VERSION, 16), OTHER: make_version(OTHER, 8, "uint8")}


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)
