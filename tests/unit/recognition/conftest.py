"""One engine with the real networks on the CPU for all tests of recognition."""

from collections.abc import Iterator

import pytest

from apps.common.config import Directories, config
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    running = Engine(EngineConfig(config(Directories).networks))
    yield running
    running.close()
