"""Operating system processes: find, start, stop and wait; locks and bounded log files. Linux only (/proc)."""

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
    """A service or the platform cannot run. The message is one sentence for the operator."""


def number(variable: str, default: int, most: int = MAX_PROCESSES) -> int:
    """Return a whole number from 1 to `most` from the environment. Raises EmbeddedError."""
    text = os.environ.get(variable) or str(default)
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
        raise EmbeddedError(f"{variable} must be a whole number from 1 to {most}, got {text!r}.")
    return int(text)


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process; empty when it has ended or is a zombie."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return os.fsdecode(raw).rstrip("\0").split("\0") if raw else []


def start_ticks(pid: int) -> int | None:
    """Return a process's start time in clock ticks since boot, or None when it has ended or is a zombie.

    Process ids are reused; id and start time together identify a process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def wait_until(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.02) -> bool:
    """Poll until the condition holds. Return False when it does not hold within `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(interval_s)
    return True


def own_private_dir(path: Path, uid: int) -> Path:
    """Create a directory that only `uid` may enter.

    Raises EmbeddedError when the path exists with another owner or mode, or is a link.
    """
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
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    own_session: bool = True,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a process, and append both its outputs to `log`. `own_session`: whether it outlives the caller's session.

    Without its own session, it has a process group: signals of the terminal do not reach it. `options`: of `Popen`.
    """
    bound_log(log)
    with open(log, "ab") as output:
        return subprocess.Popen(  # noqa: S603 - fixed commands
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=own_session,
            process_group=None if own_session else 0,
            env=env,
            **options,
        )


def stop(pid: int, *, how: signal.Signals = signal.SIGTERM, timeout_s: float = 30) -> None:
    """End a process: signal it, wait up to `timeout_s`, then kill it. Ignore one that has ended."""
    started = start_ticks(pid)
    for number, patience_s in ((how, timeout_s), (signal.SIGKILL, 5)):
        if started is None or start_ticks(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        wait_until(lambda: start_ticks(pid) != started, patience_s)


def bound_log(log: Path) -> None:
    """Copy a log above `LOG_LIMIT_BYTES` to `<name>.1` and truncate it. Writers append, so they need no reopening."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def log_tail(log: Path, lines: int = 3) -> str:
    """Return the last lines of a log, joined into one line for messages."""
    with contextlib.suppress(OSError):
        return " | ".join(log.read_text(errors="replace").strip().splitlines()[-lines:])
    return ""


@contextlib.contextmanager
def locked(var: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock `name` of this var directory. Yield False when it is taken and `wait` is false.

    The kernel releases it when the holding process ends, also after a crash.
    """
    with open(private_dir(var / "run") / f"{name}.lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
