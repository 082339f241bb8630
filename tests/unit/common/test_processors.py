"""The CPU quota of a container limits the networks that run concurrently."""

import os
from pathlib import Path

import pytest

from apps.common import processors
from apps.common.processors import quotas, usable_processors
from apps.recognition.engine.sessions import Device, default_threads


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


V2_LIMITED = {"own": "0::/\n", "fs/cpu.max": "150000 100000\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(V2_LIMITED, [1.5], id="v2 container"),
        pytest.param({"own": "0::/a/b\n", "fs/a/b/cpu.max": "max 100000\n", "fs/a/cpu.max": "50000 25000"}, [2.0],
                     id="v2 parent"),
        pytest.param({"own": "0::/\n"}, [], id="v2 without cpu controller"),
        pytest.param({"own": "0::/\n", "fs/cpu.max": "max 100000\n"}, [], id="v2 unlimited"),
        pytest.param(
            {
                "own": "7:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n",
                "fs/cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
                "fs/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            [4.0],
            id="v1 container that sees the host's path",
        ),
        pytest.param(
            {
                "own": "4:cpu:/user\n",
                "fs/cpu/user/cpu.cfs_quota_us": "-1\n",
                "fs/cpu/user/cpu.cfs_period_us": "100000\n",
                "fs/cpu/cpu.cfs_quota_us": "30000\n",
                "fs/cpu/cpu.cfs_period_us": "100000\n",
            },
            [0.3],
            id="v1 parent",
        ),
        pytest.param({"own": "0::/\n", "fs/cpu.max": "nonsense"}, [], id="unreadable"),
        pytest.param({}, [], id="no control groups"),
    ],
)  # fmt: skip
def test_quotas(tmp_path: Path, files: dict[str, str], expected: list[float]) -> None:
    write(tmp_path, files)
    assert set(quotas(tmp_path / "fs", tmp_path / "own")) == set(expected)


@pytest.mark.parametrize(("quota", "processors_used"), [(0.3, 1), (1.5, 2), (3.0, 3), (64.0, 8)])
def test_the_smaller_of_affinity_and_quota(monkeypatch: pytest.MonkeyPatch, quota: float, processors_used: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(processors, "quotas", lambda: iter([quota]))
    assert usable_processors() == processors_used


@pytest.mark.parametrize(("processes", "threads"), [(1, 8), (2, 4), (3, 2), (16, 1)])
def test_engines_share_the_processors(monkeypatch: pytest.MonkeyPatch, processes: int, threads: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(processors, "quotas", lambda: iter(()))
    assert default_threads(Device("cpu"), processes) == threads
