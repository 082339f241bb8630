"""The whole platform as `make up` starts it, in a var directory and on a port of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.helpers import Platform, started


@pytest.fixture(scope="package")
def census(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package: the entry point `census`, a type of tasks."""
    folder = tmp_path_factory.mktemp("census")
    (folder / "census_of_kills").mkdir()
    shutil.copy(Path(__file__).with_name("census_task.py"), folder / "census_of_kills" / "__init__.py")
    metadata = folder / "census_of_kills-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: census-of-kills\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[luna.task_types]\ncensus = census_of_kills:Census\n")
    return folder


@pytest.fixture(scope="package")
def platform(census: Path) -> Iterator[Platform]:
    variables = {"LUNA_ALLOW_PRIVATE_URLS": "true"}  # callbacks to servers of the tests
    with started(**variables, LUNA_TASK_TYPES="census", PYTHONPATH=str(census)) as running:
        yield running
