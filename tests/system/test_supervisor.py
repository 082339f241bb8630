"""What `up`, `status` and the supervisor promise, beside surviving kills."""

import os
import signal
import time

import httpx

from luna.embedded.processes import start_ticks, wait_until
from tests.system.helpers import Platform, children_of, pids, wait_healthy


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
    assert wait_until(lambda: platform.command("status").returncode == 1, 30)
    assert httpx.get(f"{platform.url}/version").status_code == 200, "web goes on without its supervisor"
    up = platform.command("up")
    assert up.returncode == 0, up.stderr
    after = pids(platform)
    assert set(after) == set(before)
    for name in ("web-1", "worker", "beat"):
        assert after[name] != before[name]
        assert start_ticks(before[name]) is None
    assert (after["postgres"], after["redis"]) == (before["postgres"], before["redis"])


def test_health_names_a_database_that_hangs_in_time(platform: Platform) -> None:
    """A stopped PostgreSQL: the kernel accepts connections to its socket, and no process answers."""
    main = pids(platform)["postgres"]
    stopped = [main, *children_of(main)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(1.1)  # a healthy result is reused for a second
        for _ in range(2):
            answer = httpx.get(f"{platform.url}/healthcheck", timeout=20)
            assert (answer.status_code, answer.json()["error_code"]) == (502, 38001)
            assert answer.json()["detail"].startswith("database: no answer within ")
            assert httpx.get(f"{platform.url}/version", timeout=20).status_code == 200
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    wait_healthy(platform)


def test_everything_stops_and_comes_back(platform: Platform) -> None:
    running = pids(platform)
    assert platform.command("down").stdout == "Stopped: supervisor, web-1, worker, beat, postgres, redis\n"
    assert all(start_ticks(pid) is None for pid in running.values())
    assert platform.command("down").stdout == "Nothing was running.\n"
    assert platform.command("up").returncode == 0
    wait_healthy(platform)
