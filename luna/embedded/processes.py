"""Processes of the operating system: who runs, start, stop, wait; and their bounded log files. Linux (/proc)."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from luna.embedded.defaults import MAX_PROCESSES
from luna.embedded.secrets import private_dir

LOG_LIMIT_BYTES = 10 * 1024**2


class EmbeddedError(Exception):
    """Why a service or the platform cannot run, in one sentence for the operator."""


def number(variable: str, default: int, most: int = MAX_PROCESSES) -> int:
    """Return a whole number from 1 to `most` from the environment. Raises EmbeddedError."""
    text = os.environ.get(variable) or str(default)
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
        raise EmbeddedError(f"{variable} must be a whole number from 1 to {most}, got {text!r}.")
    return int(text)


def command_line(pid: int) -> list[str]:
    """The arguments of a process; empty when it is gone, or dead and not yet collected."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return os.fsdecode(raw).rstrip("\0").split("\0") if raw else []


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with its id it names a process for good. None: gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def wait_until(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.02) -> bool:
    """Ask until the condition holds; False when it does not within the time."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(interval_s)
    return True


def own_private_dir(path: Path, uid: int) -> Path:
    """Make a directory that only `uid` may enter; refuse one that somebody else has put there."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not path.is_symlink() and found.st_uid == os.geteuid() != uid:
        os.chown(path, uid, uid)
        found = path.lstat()
    if path.is_symlink() or found.st_uid != uid or found.st_mode & 0o077:
        raise EmbeddedError(f"{path} is not a private directory of uid {uid}: remove it and start again.")
    return path


def log_path(var: Path, name: str) -> Path:
    return private_dir(var / "log") / f"{name}.log"


def spawn(
    command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; it outlives us. Both its outputs are appended to `log`."""
    bound_log(log)
    with open(log, "ab") as output:
        return subprocess.Popen(  # noqa: S603 - commands are ours
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=env,
            **options,
        )


def stop(pid: int, *, how: signal.Signals = signal.SIGTERM, timeout_s: float = 30) -> None:
    """End a process: ask, wait, then kill. A process that is gone already is fine."""
    started = start_ticks(pid)
    for number, patience_s in ((how, timeout_s), (signal.SIGKILL, 5)):
        if started is None or start_ticks(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        wait_until(lambda: start_ticks(pid) != started, patience_s)


def bound_log(log: Path) -> None:
    """Move a log that has grown too long to `<name>.1` and empty it. Writers append, so they just go on."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def log_tail(log: Path, lines: int = 3) -> str:
    """The last lines of a log in one line, for messages."""
    with contextlib.suppress(OSError):
        return " | ".join(log.read_text(errors="replace").strip().splitlines()[-lines:])
    return ""


@contextlib.contextmanager
def locked(var: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock `name` of this var directory; yields False when it is taken and we shall not wait.

    The kernel frees it when its holder dies, however it dies.
    """
    with open(private_dir(var / "run") / f"{name}.lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
