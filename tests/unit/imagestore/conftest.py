from pathlib import Path
from uuid import UUID

import pytest

from apps.accounts.services import account_create


@pytest.fixture(autouse=True)
def store_dir(tmp_path: Path, settings: object) -> Path:
    """A store of its own for every test."""
    storages = {name: dict(options) for name, options in settings.STORAGES.items()}
    storages["default"]["OPTIONS"] = {"location": str(tmp_path / "store")}
    settings.STORAGES = storages
    return tmp_path / "store"


@pytest.fixture
def account(db: None) -> UUID:
    return account_create(login="owner@example.com", password="a-password").account_id


@pytest.fixture
def stranger(db: None) -> UUID:
    return account_create(login="stranger@example.com", password="a-password").account_id
