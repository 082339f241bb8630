"""The commands of `python -m luna.embedded`."""

import contextlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from luna.embedded import backup, redis, services
from luna.embedded.addresses import CHECKOUT, database_url, embeds_postgres, embeds_redis, networks_dir, redis_url
from luna.embedded.listeners import listen, require_same_address
from luna.embedded.processes import EmbeddedError, locked, log_path, log_tail, spawn, stop
from luna.embedded.release import release
from luna.embedded.supervisor import (
    Supervisor,
    children_environment,
    commands,
    read_state,
    runs,
    stop_all,
    supervising,
)

START_TIMEOUT_S = 180
# A service that web reports as unhealthy for so long will not recover by itself.
UNHEALTHY_S = 10
NO_ANSWER = "no answer"


def up(var: Path) -> None:
    """Start the platform in the background and wait until it is healthy.

    A platform that runs the code of this checkout is left alone; one that runs other code is restarted.
    """
    with locked(var, "command"):
        if runs(var):
            state = read_state(var)
            require_same_address(state.url)
            if state.release == release():
                print(f"Luna already runs at {state.url}")
                return
            print("Luna runs other code than this checkout: it is restarted.", flush=True)
            _stop_everything(var)
        print(_start(var, any_port=False))


def _start(var: Path, *, any_port: bool) -> str:
    """Start the platform in the background, wait until it is healthy, and return the greeting.

    With `any_port`, a free port is chosen if LUNA_PORT is not set and the default port is in use.
    """
    listeners, url, login = prepare(var, any_port=any_port)
    fds = [listener.fileno() for listener in listeners]
    spawn(
        [sys.executable, "-m", "luna.embedded", "supervise", url, *map(str, fds)],
        log=log_path(var, "supervisor"),
        cwd=CHECKOUT,
        pass_fds=fds,
    )
    for listener in listeners:
        listener.close()
    try:
        wait_until_healthy(var, url)
    except EmbeddedError:
        _stop_everything(var)
        raise
    return greeting(url, login)


def run(var: Path) -> None:
    """Run the platform in the foreground until Ctrl-C or SIGTERM. Raises EmbeddedError when it runs already."""
    with locked(var, "command"):
        if runs(var):
            raise EmbeddedError(f"Luna already runs at {read_state(var).url}: `make down` stops it.")
        listeners, url, login = prepare(var)

    def announce() -> None:
        with contextlib.suppress(EmbeddedError):
            wait_until_healthy(var, url)
            print(greeting(url, login), flush=True)

    threading.Thread(target=announce, daemon=True).start()
    supervise(var, fds=[listener.fileno() for listener in listeners], url=url)
    services.stop(var)


def supervise(var: Path, *, fds: list[int], url: str) -> None:
    """Run the supervisor of this var directory in this process."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    os.umask(0o077)  # other users must not read photographs and descriptors
    with supervising(var) as free:
        if not free:
            raise EmbeddedError(f"Another supervisor runs in {var}.")
        Supervisor(var, url=url, fds=fds).run()


def execute(var: Path, command: list[str], *, keep: bool = False) -> int:
    """Run a command on the platform and return its exit status.

    If the platform does not run, it is started before the command. It is stopped after the command, or with `keep`
    announced. LUNA_EXTERNAL_ADDRESS passes the platform's address to the command.
    """
    with locked(var, "command"):
        greeted = None if runs(var) else _start(var, any_port=True)
    try:
        environment = os.environ | {"LUNA_EXTERNAL_ADDRESS": read_state(var).url}
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - the operator's own
    finally:
        if greeted and keep:
            print(f"{greeted}\n  `make down` stops it.")
        elif greeted:
            down(var)


def down(var: Path) -> None:
    """Stop all processes of this var directory, including those left by a killed supervisor."""
    with locked(var, "command"):
        stopped = _stop_everything(var)
    print(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")


def start(var: Path) -> None:
    """Start PostgreSQL and Redis only."""
    started = services.start(var)
    print(f"Started: {', '.join(started)}" if started else "PostgreSQL and Redis already run.")


def stop_services(var: Path) -> None:
    """Stop PostgreSQL and Redis. Raises EmbeddedError while the platform uses them."""
    if runs(var):
        raise EmbeddedError("The platform uses PostgreSQL and Redis: `down` stops the platform and both.")
    stopped = services.stop(var)
    print(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")


def dump(var: Path, file: Path) -> None:
    """Write the embedded database into a file."""
    with locked(var, "command"):
        backup.dump(var, file)
    print(f"Dumped the database to {file}")


def restore(var: Path, file: Path) -> None:
    """Restore the embedded database from a file. Raises EmbeddedError while the platform runs."""
    with locked(var, "command"):
        if runs(var):
            raise EmbeddedError("The platform runs: `make down` stops it.")
        kept = backup.restore(var, file)
    print(f"Restored the database from {file}")
    if kept:
        print(f"The data of the older PostgreSQL is kept in {kept}: delete it once the platform runs.")


def status(var: Path) -> None:
    """Print the processes with their ids. Raises EmbeddedError when the platform does not run."""
    state = read_state(var)
    url, processes = state.url, dict(state.running)
    for name, service in services.embedded().items():
        processes[name] = service.running_pid(var) or 0
    for name, pid in processes.items():
        print(f"{name:12} {pid or 'stopped'}")
    if not runs(var):
        raise EmbeddedError("Luna does not run.")
    problem = health_problem(url)
    if problem == NO_ANSWER:
        print(f"Luna does not answer at {url}")
    else:
        print(f"Luna answers at {url}" + (f", but is not healthy: {problem}" if problem else ""))


def addresses(var: Path) -> None:
    """Print the URLs of PostgreSQL and Redis, with passwords, as shell variables."""
    print(f"DATABASE_URL='{database_url()}'\nREDIS_URL='{redis_url()}'")


def prepare(var: Path, *, any_port: bool = False) -> tuple[list[socket.socket], str, str]:
    """Start the services, migrate the database and ensure the administrator.

    Returns the listening sockets, their URL and the administrator's login. Raises EmbeddedError.
    """
    if not any(networks_dir(var).glob("*.onnx")):
        raise EmbeddedError(f"No networks in {networks_dir(var)}: run `make networks` first.")
    stop_all(list(read_state(var).running.values()))  # processes left by a killed supervisor
    listeners, url = listen(any_port=any_port)
    commands([])  # checks the environment's values before anything starts
    redis.maxmemory()
    started = services.start(var)
    try:
        if not (embeds_postgres() and embeds_redis()):
            manage(url, "check_services")
        manage(url, "migrate", "--verbosity", "0")
        admin = json.loads(manage(url, "ensure_admin", "--json", "--skip-checks"))
    except EmbeddedError:
        if started:
            services.stop(var)
        raise
    if admin["password"]:
        print(f"Created the administrator {admin['login']}. Password, shown only once: {admin['password']}")
    return listeners, url, admin["login"]


def manage(url: str, *arguments: str) -> str:
    """Run a management command and return its output; print its warnings about the environment to standard error.

    Raises EmbeddedError with the command's message when it fails.
    """
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    done = subprocess.run(command, env=children_environment(url), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        if refused := re.findall(r"^\S*: \(\w+\.E\d+\) (.+)$", done.stderr, re.MULTILINE):  # failed system checks
            raise EmbeddedError(f"Luna cannot start: {' '.join(refused)}")
        words = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        if words.startswith("Luna cannot start"):
            raise EmbeddedError(words)
        if words.startswith("CommandError: "):
            raise EmbeddedError(f"Luna cannot start: {words.removeprefix('CommandError: ')}")
        raise EmbeddedError(f"`manage.py {' '.join(arguments)}` failed: {words}")
    for warning in re.findall(r"^\S*: \(luna\.W\d+\) (.+)$", done.stderr, re.MULTILINE):
        print(warning, file=sys.stderr)
    return done.stdout


def wait_until_healthy(var: Path, url: str) -> None:
    """Wait until the health check passes.

    Raises EmbeddedError with the last log line when web does not start, and with the failed check when web answers but
    a service stays unhealthy for `UNHEALTHY_S`.
    """
    seen: set[int] = set()
    end = time.monotonic() + START_TIMEOUT_S
    answered_at: float | None = None
    while problem := health_problem(url):
        if problem == NO_ANSWER:
            answered_at = None
        else:
            answered_at = answered_at or time.monotonic()
            if time.monotonic() - answered_at > UNHEALTHY_S:
                raise EmbeddedError(f"Luna is not healthy: {problem}")
        seen.update(pid for name, pid in read_state(var).recorded.items() if name == "web-1")
        if len(seen) > 1:  # the first process ended
            raise EmbeddedError(f"Web does not start: {log_tail(log_path(var, 'web-1'), 1)}")
        if time.monotonic() > end:
            raise EmbeddedError(f"{url}/healthcheck did not pass within {START_TIMEOUT_S} s; see {var / 'log'}.")
        time.sleep(0.2)


def health_problem(url: str) -> str:
    """Return the detail of a failed health check, `NO_ANSWER` without an answer, and an empty text when healthy."""
    try:
        with urllib.request.urlopen(f"{url}/healthcheck", timeout=3) as answer:  # noqa: S310 - our own address
            return "" if json.load(answer) is not None and answer.status == 200 else NO_ANSWER
    except urllib.error.HTTPError as error:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.load(error)["detail"])
    except (OSError, ValueError):
        pass
    return NO_ANSWER


def greeting(url: str, login: str) -> str:
    """Return the addresses of the API and the admin site, with the administrator's login."""
    return f"Luna answers at {url}\n  API    {url}/docs/spec\n  Admin  {url}/admin/, log in as {login}"


def _stop_everything(var: Path) -> list[str]:
    """Stop all processes and return their names. The supervisor goes first: it would restart the others."""
    processes = read_state(var).running
    if "supervisor" in processes:
        stop(processes["supervisor"], timeout_s=60)
    stop_all(list(processes.values()))
    return [*processes, *services.stop(var)]
