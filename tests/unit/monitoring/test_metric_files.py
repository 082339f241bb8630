"""Files of counts: those of processes that have ended become one, and nothing is lost."""

import json
import os
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from apps.monitoring.metrics.files import merge_dead

ENDED = 2**22  # ids of processes are below it
RUNNING = os.getpid()
Counts: Any = MmapedDict  # these have no types
Collector: Any = MultiProcessCollector


def write(directory: Path, kind: str, process: int, name: str, value: float, **labels: str) -> None:
    file = Counts(str(directory / f"{kind}_{process}.db"))
    file.write_value(json.dumps([name.partition("_bucket")[0], name, labels, "text"]), value, 0.0)
    file.close()


def values(directory: Path) -> dict[str, float]:
    families = Collector(CollectorRegistry(), path=str(directory)).collect()
    return {f"{each.name}{each.labels}": each.value for family in families for each in family.samples}


def test_counts_of_ended_processes_become_one_file(tmp_path: Path) -> None:
    for process in (RUNNING, *range(ENDED, ENDED + 30)):
        write(tmp_path, "counter", process, "requests_total", 2, path="GET:/faces")
        write(tmp_path, "histogram", process, "requests_bucket", 3, route="GET:/faces", le="0.1")
    (tmp_path / f"counter_{ENDED + 99}.db").touch()  # its process was killed at once
    before = {"requests_total{'path': 'GET:/faces'}": 62.0, "requests_bucket{'route': 'GET:/faces', 'le': '0.1'}": 93.0}
    for _ in range(2):
        merge_dead(tmp_path)
        assert before.items() <= values(tmp_path).items()
        assert {path.name for path in tmp_path.glob("*_*")} == {
            "counter_0.db", f"counter_{RUNNING}.db", "histogram_0.db", f"histogram_{RUNNING}.db",
        }  # fmt: skip
    write(tmp_path, "counter", ENDED, "requests_total", 5, path="GET:/lists")
    merge_dead(tmp_path)
    assert values(tmp_path)["requests_total{'path': 'GET:/lists'}"] == 5
    assert before.items() <= values(tmp_path).items()
