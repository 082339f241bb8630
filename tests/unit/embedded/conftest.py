import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from luna.embedded import postgres, services
from luna.embedded.addresses import digest
from tests.unit.embedded.helpers import MakeVar


@pytest.fixture
def make_var(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeVar]:
    """Makes var directories below one that every user may pass through; ends their services afterwards.

    The directory made last is the one that addresses speak of.
    """
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    place = Path(tempfile.mkdtemp())  # pytest's own directories are accessible only to their owner
    place.chmod(0o711)
    made: list[Path] = []

    def make(name: str = "var") -> Path:
        var = place / name
        monkeypatch.setenv("LUNA_VAR_DIR", str(var))
        made.append(var)
        return var

    yield make
    for var in made:
        services.stop(var)
        shutil.rmtree(postgres.ROOTS_PLACE / digest(var), ignore_errors=True)
    shutil.rmtree(place)


@pytest.fixture
def var(make_var: MakeVar) -> Path:
    return make_var("var")
