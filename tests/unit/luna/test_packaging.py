"""The version and the dependencies are declared once and agree with the pinned requirements."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from luna.embedded.addresses import CHECKOUT

REASON = re.compile(r"\S  # \S|\S {2,}# \S|\S +# \S")


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def lines(path: Path) -> list[str]:
    """The lines of a requirements file that name a distribution."""
    rows = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row and not row.startswith(("#", "-r"))]


@pytest.mark.parametrize("group", ["", "dev", "gpu", "milvus", "mlserver", "otel"])
def test_requirements_pin_what_pyproject_declares(pyproject: dict[str, Any], group: str) -> None:
    declared = pyproject["dependency-groups"][group] if group else pyproject["project"]["dependencies"]
    pinned = [Requirement(line.split("#")[0]) for line in lines(CHECKOUT / f"requirements{group and '-' + group}.txt")]
    unpinned = [Requirement(each) for each in declared]
    assert {(each.name, frozenset(each.extras), str(each.marker)) for each in unpinned} == {
        (each.name, frozenset(each.extras), str(each.marker)) for each in pinned
    }
    assert all(each.specifier for each in pinned)


def test_every_dependency_has_a_reason() -> None:
    files = sorted(CHECKOUT.glob("requirements*.txt"))
    assert [line for path in files for line in lines(path) if not REASON.search(line)] == []
