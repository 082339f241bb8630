"""The whole platform as `make up` starts it, in a var directory and on a port of its own."""

from collections.abc import Iterator

import pytest

from tests.system.helpers import Platform, started


@pytest.fixture(scope="package")
def platform() -> Iterator[Platform]:
    with started(LUNA_ALLOW_PRIVATE_URLS="true") as running:  # callbacks to servers of the tests
        yield running
