"""A directory of networks to which a test adds its own."""

from pathlib import Path

import pytest

from tests.unit.recognition.graphs import directory_with_embedded


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    return directory_with_embedded(tmp_path)
