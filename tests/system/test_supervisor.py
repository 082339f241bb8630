"""What `up`, `status` and the supervisor promise, beside surviving kills."""

import os
import signal

import httpx

from luna.embedded.processes import start_ticks, wait_until
from tests.system.helpers import Platform, pids, wait_healthy


def test_up_twice_is_harmless(platform: Platform) -> None:
    before = pids(platform)
    assert set(before) == {"supervisor", "web-1", "worker", "beat", "postgres", "redis"}
    again = platform.command("up")
    assert (again.returncode, again.stdout) == (0, f"Luna already runs at {platform.url}\n")
    assert pids(platform) == before


def test_a_killed_process_is_started_again_on_the_same_socket(platform: Platform) -> None:
    for name in ("beat", "web-1"):
        old = pids(platform)[name]
        os.kill(old, signal.SIGKILL)
        assert wait_until(lambda name=name, old=old: pids(platform).get(name, old) != old, 20)  # type: ignore[misc]
    # No process of web listens yet: the request waits in the socket's queue instead of being refused.
    assert httpx.get(f"{platform.url}/version", timeout=30).status_code == 200
    wait_healthy(platform)


def test_up_replaces_what_a_killed_supervisor_has_left(platform: Platform) -> None:
    before = pids(platform)
    os.kill(before["supervisor"], signal.SIGKILL)
    assert wait_until(lambda: platform.command("status").returncode == 1, 5)
    assert httpx.get(f"{platform.url}/version").status_code == 200, "web goes on without its supervisor"
    up = platform.command("up")
    assert up.returncode == 0, up.stderr
    after = pids(platform)
    assert set(after) == set(before)
    for name in ("web-1", "worker", "beat"):
        assert after[name] != before[name]
        assert start_ticks(before[name]) is None
    assert (after["postgres"], after["redis"]) == (before["postgres"], before["redis"])


def test_everything_stops_and_comes_back(platform: Platform) -> None:
    running = pids(platform)
    assert platform.command("down").stdout == "Stopped: supervisor, web-1, worker, beat, postgres, redis\n"
    assert all(start_ticks(pid) is None for pid in running.values())
    assert platform.command("down").stdout == "Nothing was running.\n"
    assert platform.command("up").returncode == 0
    wait_healthy(platform)
