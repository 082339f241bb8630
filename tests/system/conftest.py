"""The whole platform as `make up` starts it, in a var directory and on a port of its own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.helpers import Platform, started

BY_NAME = "LUNA_TYPE_KILLS" in os.environ  # the module that makes stages slow is for `test_type_kills` only


@pytest.fixture(scope="package")
def census(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with installed packages: the entry points `census` and `pieces`, types of tasks."""
    folder = tmp_path_factory.mktemp("census")
    (folder / "census_of_kills").mkdir()
    shutil.copy(Path(__file__).with_name("census_task.py"), folder / "census_of_kills" / "__init__.py")
    (folder / "pieces_of_kills").mkdir()
    shutil.copy(Path(__file__).with_name("pieces_task.py"), folder / "pieces_of_kills" / "__init__.py")
    metadata = folder / "census_of_kills-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: census-of-kills\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[luna.task_types]\ncensus = census_of_kills:Census\npieces = pieces_of_kills:Pieces\n"
    )
    return folder


@pytest.fixture(scope="package")
def platform(census: Path) -> Iterator[Platform]:
    variables = {"LUNA_ALLOW_PRIVATE_URLS": "true"}  # callbacks to servers of the tests
    with started(
        **variables, LUNA_TASK_TYPES="census,pieces" if BY_NAME else "census", PYTHONPATH=str(census)
    ) as running:
        yield running
