"""An account, and a small descriptor version that is the default one."""

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import DescriptorVersion, versions
from tests.api.matching.requests import DIMENSION
from tests.factories import client_of, make_version


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    """A small version is the default one."""
    found = make_version(9101, DIMENSION)
    monkeypatch.setitem(versions._defaults, "face", found.version)
    return found


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)
