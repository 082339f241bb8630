from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.files.storage import default_storage

from apps.accounts.services import account_create
from tests.unit.imagestore.s3 import options, s3_server


def use_storage(settings: Any, backend: str, **storage_options: Any) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": backend, "OPTIONS": storage_options}}


def stored_names(folder: str = "") -> list[str]:
    """The names of all files in the store, whatever it is."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    found = [f"{folder}/{name}".lstrip("/") for name in names]
    for each in folders:
        found += stored_names(f"{folder}/{each}".lstrip("/"))
    return sorted(found)


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(autouse=True)
def store_dir(tmp_path: Path, settings: object) -> Path:
    """A folder of its own for every test."""
    use_storage(settings, "apps.imagestore.storage.DiskStorage", location=str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, settings: object) -> str:
    """The test runs twice: on disk, and against a server that speaks S3."""
    if request.param == "s3":
        address = request.getfixturevalue("s3_address")
        use_storage(settings, "apps.imagestore.s3.S3Store", **options(address, uuid4().hex))
    else:
        use_storage(settings, "apps.imagestore.storage.DiskStorage", location=str(tmp_path / "store"))
    return str(request.param)


@pytest.fixture
def account(db: None) -> UUID:
    return account_create(login="owner@example.com", password="a-password").account_id


@pytest.fixture
def stranger(db: None) -> UUID:
    return account_create(login="stranger@example.com", password="a-password").account_id
