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

from luna.embedded import redis, services
from luna.embedded.addresses import CHECKOUT, database_url, networks_dir, redis_url
from luna.embedded.listeners import listen, require_same_address
from luna.embedded.processes import EmbeddedError, locked, log_path, log_tail, spawn, stop
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


def up(var: Path, *, any_port: bool = False) -> None:
    """Start the platform in the background and wait until it is healthy. Do nothing if it runs already.

    With `any_port`, a free port is chosen if LUNA_PORT is not set and the default port is in use.
    """
    with locked(var, "command"):
        if runs(var):
            require_same_address(read_state(var).url)
            print(f"Luna already runs at {read_state(var).url}")
            return
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
        print(greeting(url, login))


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


def execute(var: Path, command: list[str]) -> int:
    """Run a command on the platform and return its exit status.

    If the platform does not run, it is started before the command and stopped after it. LUNA_EXTERNAL_ADDRESS passes
    the platform's address to the command.
    """
    ran = runs(var)
    if not ran:
        up(var, any_port=True)
    try:
        environment = os.environ | {"LUNA_EXTERNAL_ADDRESS": read_state(var).url}
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - the operator's own
    finally:
        if not ran:
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
    print(f"Luna answers at {url}" if healthy(url) else f"Luna does not answer at {url}")


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
        raise EmbeddedError(f"`manage.py {' '.join(arguments)}` failed: {words}")
    for warning in re.findall(r"^\S*: \(luna\.W\d+\) (.+)$", done.stderr, re.MULTILINE):
        print(warning, file=sys.stderr)
    return done.stdout


def wait_until_healthy(var: Path, url: str) -> None:
    """Wait until the health check passes. Raises EmbeddedError with the last log line when web does not start."""
    seen: set[int] = set()
    end = time.monotonic() + START_TIMEOUT_S
    while not healthy(url):
        seen.update(pid for name, pid in read_state(var).recorded.items() if name == "web-1")
        if len(seen) > 1:  # the first process ended
            raise EmbeddedError(f"Web does not start: {log_tail(log_path(var, 'web-1'), 1)}")
        if time.monotonic() > end:
            raise EmbeddedError(f"{url}/healthcheck did not pass within {START_TIMEOUT_S} s; see {var / 'log'}.")
        time.sleep(0.2)


def healthy(url: str) -> bool:
    """Return whether the health check answers 200 with a JSON body."""
    try:
        with urllib.request.urlopen(f"{url}/healthcheck", timeout=2) as answer:  # noqa: S310 - our own address
            return json.load(answer) is not None and answer.status == 200
    except (OSError, ValueError):
        return False


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
