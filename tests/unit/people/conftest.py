"""Fixtures of the tests of people."""

import pytest

from apps.accounts.models import Account
from apps.common.descriptors import DescriptorRegistry
from tests.factories import make_account, make_version
from tests.unit.people.groups import DIMENSION, VERSION


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    make_version(VERSION, DIMENSION)
    monkeypatch.setattr(DescriptorRegistry, "default", lambda self, kind="face": self.get(VERSION))


@pytest.fixture
def account(db: None) -> Account:
    return make_account()
