"""The order in which processes of pytest-xdist take the test files (`--dist loadfile`): long ones first."""

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

SYSTEM = "tests/system/"
# These start platforms of their own; the other files of the folder share one, in one process.
OWN_PLATFORMS = {f"{SYSTEM}test_{name}.py" for name in ("fresh", "proxy", "mlserver")}


class Scheduling(LoadFileScheduling):
    """Hands out files in the order of collection, and the files that share a platform together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return SYSTEM if file.startswith(SYSTEM) and file not in OWN_PLATFORMS else file


def sort_items(items: list[pytest.Item]) -> None:
    """Sort whole platforms to the front, then slow tests, then the files by their number of tests.

    A long file that begins last leaves the other processes idle.
    """
    counts = Counter(item.location[0] for item in items)
    slow = {item.location[0] for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> tuple[bool, bool, int]:
        file = item.location[0]
        return not file.startswith(SYSTEM), file not in slow, -counts[file]

    items.sort(key=place)
