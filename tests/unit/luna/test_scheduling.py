"""The order in which processes of pytest-xdist take the test files."""

from types import SimpleNamespace
from typing import Any

from luna.embedded.addresses import CHECKOUT
from tests.scheduling import OWN_PLATFORMS, SYSTEM, Scheduling, sort_items


def item(file: str, *, slow: bool = False) -> Any:
    return SimpleNamespace(location=(file, 0, ""), get_closest_marker=lambda name: slow and name == "slow")


def test_long_files_come_first() -> None:
    files = ["tests/a.py", "tests/b.py", "tests/b.py", "tests/c.py", "tests/system/test_kill.py", "tests/d.py"]
    items = [item(file, slow=file == "tests/c.py") for file in files]
    sort_items(items)
    assert [each.location[0] for each in items] == [
        "tests/system/test_kill.py", "tests/c.py", "tests/b.py", "tests/b.py", "tests/a.py", "tests/d.py",
    ]  # fmt: skip


def test_files_of_one_platform_run_together() -> None:
    scheduling = object.__new__(Scheduling)
    files = {f"{SYSTEM}{path.name}" for path in (CHECKOUT / SYSTEM).glob("test_*.py")} | {"tests/api/test_admin.py"}
    assert files > OWN_PLATFORMS
    units = {scheduling._split_scope(f"{file}::test_it[a::b]") for file in files}
    assert units == {SYSTEM, "tests/api/test_admin.py", *OWN_PLATFORMS}
