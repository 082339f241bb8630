"""The supervisor: it restarts processes that end, with exponential backoff for those that end often."""

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from luna.embedded import services
from luna.embedded.addresses import CHECKOUT
from luna.embedded.defaults import SUPERVISED_ADDRESS, TASK_THREADS, WORKERS
from luna.embedded.processes import (
    EmbeddedError,
    bound_log,
    locked,
    log_path,
    log_tail,
    number,
    spawn,
    start_ticks,
    stop,
)
from luna.embedded.release import release
from luna.embedded.secrets import private_dir

logger = logging.getLogger(__name__)

TICK_S = 0.3
LOGS_INTERVAL_S = 30
LONGEST_DELAY_S = 30
# A process that ran at least this long restarts without backoff.
STEADY_S = 60


def children_environment(url: str) -> dict[str, str]:
    """Return the environment for the processes of the platform at `url`.

    OpenMP and OpenBLAS get one thread each: with two each on two cores they stalled each other for 16 to 24 ms (p95).
    The engine sets its own number of threads.
    """
    defaults = {"DJANGO_SETTINGS_MODULE": "luna.settings", SUPERVISED_ADDRESS: url}
    return defaults | os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def commands(fds: list[int]) -> dict[str, list[str]]:
    """Return name and command of each process; the web processes share the listening sockets `fds`."""
    web = [sys.executable, "-m", "luna.web", *map(str, fds)]
    celery = [sys.executable, "-m", "celery", "-A", "luna.celery"]
    worker = ["worker", "--pool", "threads", "--concurrency", str(number("LUNA_TASK_THREADS", TASK_THREADS))]
    return {
        **{f"web-{number + 1}": web for number in range(number("LUNA_WORKERS", WORKERS))},
        "worker": [*celery, *worker, "--loglevel", "INFO", "--without-gossip", "--without-mingle"],
        "beat": [*celery, "beat", "--loglevel", "INFO", "--pidfile", ""],
    }


class Child:
    """A process that the supervisor keeps running."""

    def __init__(self, var: Path, name: str, command: list[str], *, url: str, fds: list[int]) -> None:
        self.name, self.command, self.url, self.fds = name, command, url, fds
        self.log = log_path(var, name)
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.delay_s = 0.0

    def keep(self) -> bool:
        """Start the process if it does not run and its backoff has passed. Return whether it was started."""
        now = time.monotonic()
        if self.process is not None:
            if self.process.poll() is None:
                return False
            logger.warning("%s ended with status %s: %s", self.name, self.process.returncode, log_tail(self.log, 1))
            self.delay_s = 0.0 if now - self.started_at > STEADY_S else min(max(0.5, 2 * self.delay_s), LONGEST_DELAY_S)
            self.process = None
            self.started_at = now
        if now - self.started_at < self.delay_s:
            return False
        self.started_at = now
        environment = children_environment(self.url)
        # One session for all: Linux may share processors between sessions (autogroups), and then priorities of threads
        # apply within a session only. Recognition in the worker would not yield to the web process.
        self.process = spawn(
            self.command, log=self.log, env=environment, own_session=False, cwd=CHECKOUT, pass_fds=self.fds
        )
        return True


class Supervisor:
    """Runs the platform of this var directory on the listening sockets `fds` (first address: `url`) until a signal."""

    def __init__(self, var: Path, *, url: str, fds: list[int]) -> None:
        self.var, self.url, self.release = var, url, release()
        self.children = [Child(var, name, command, url=url, fds=fds) for name, command in commands(fds).items()]
        self.stopping = False
        self.service_retry_at = 0.0
        self.logs_checked_at = 0.0

    def run(self) -> None:
        """Keep all processes running until a signal, then stop web, worker and beat. `down` stops the services."""
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, self._stop)
        shutil.rmtree(self.var / "metrics" / socket.gethostname(), ignore_errors=True)  # counts begin at the start
        try:
            while not self.stopping:
                self._keep_services()
                started = [child.keep() for child in self.children]
                if any(started):
                    self._record()
                self._bound_logs()
                time.sleep(TICK_S)
        finally:
            stop_all([child.process.pid for child in self.children if child.process is not None])
            _state_path(self.var).unlink(missing_ok=True)

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _keep_services(self) -> None:
        if time.monotonic() < self.service_retry_at:
            return
        if all(service.running_pid(self.var) is not None for service in services.embedded().values()):
            return
        try:
            logger.warning("Restarted %s", ", ".join(services.start(self.var)))
        except EmbeddedError as error:
            logger.error("%s", error)
            self.service_retry_at = time.monotonic() + 5

    def _record(self) -> None:
        """Record the running processes, so that `up` and `down` find them even after this process is killed."""
        pids = {child.name: child.process.pid for child in self.children if child.process is not None}
        write_state(self.var, url=self.url, release=self.release, pids={"supervisor": os.getpid()} | pids)

    def _bound_logs(self) -> None:
        if time.monotonic() - self.logs_checked_at > LOGS_INTERVAL_S:
            self.logs_checked_at = time.monotonic()
            for log in (self.var / "log").glob("*.log"):
                bound_log(log)


def stop_all(pids: list[int]) -> None:
    """Signal all processes to end, then wait for each."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for pid in pids:
        stop(pid)


@contextlib.contextmanager
def supervising(var: Path) -> Iterator[bool]:
    """Hold the supervisor's lock of this var directory. Yield False when another process holds it."""
    with locked(var, "supervisor", wait=False) as free:
        yield free


def runs(var: Path) -> bool:
    """Return whether a supervisor runs in this var directory."""
    with supervising(var) as free:
        return not free


def write_state(var: Path, *, url: str, release: str, pids: Mapping[str, int]) -> None:
    """Record the URL, the release, and name, process id and start time of each process, atomically."""
    path = _state_path(var)
    new = path.with_suffix(".new")
    processes = {name: [pid, start_ticks(pid)] for name, pid in pids.items()}
    new.write_text(json.dumps({"url": url, "release": release, "processes": processes}))
    new.rename(path)


@dataclass(frozen=True)
class State:
    """A supervisor's record: its URL and release, the process ids by name, and those of them that still run."""

    url: str
    release: str
    recorded: Mapping[str, int]
    running: Mapping[str, int]


def read_state(var: Path) -> State:
    """Return the record of this var directory's supervisor; empty when none exists."""
    try:
        state = json.loads(_state_path(var).read_text())
    except FileNotFoundError:
        return State("", "", {}, {})
    processes = state["processes"]
    running = {name: pid for name, (pid, ticks) in processes.items() if ticks and start_ticks(pid) == ticks}
    return State(state["url"], state.get("release", ""), {name: pid for name, (pid, _) in processes.items()}, running)


def _state_path(var: Path) -> Path:
    return private_dir(var / "run") / "processes.json"
