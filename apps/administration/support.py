"""The support bundle: one archive with what support needs to know about an installation.

It has no picture, no descriptor, no secret, and no row of a table. A part that cannot be gathered, such as those of a
database that is away, is named in `errors.txt`; the others are written.
"""

import os
import platform
import resource
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path

import orjson
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor

from apps.administration.masking import Masker
from apps.administration.system_info import system_info
from apps.common.config import Directories, config, version
from apps.common.logs import log_folder
from apps.common.processors import usable_processors
from apps.common.rows import ROWS_ESTIMATE
from apps.common.times import format_time, utc_now
from apps.monitoring.health import checks
from apps.monitoring.metrics.exposition import exposition
from apps.monitoring.processes import processes

LOG_BYTES = 2 * 1024**2  # of the end of each log file
COUNTED_ROWS = 100_000  # a table with more rows has PostgreSQL's estimate
STATEMENT_S = 20
LISTENING = "0A"  # state of a socket in /proc/net/tcp
DATABASE_SETTINGS = [
    "max_connections", "shared_buffers", "work_mem", "maintenance_work_mem", "effective_io_concurrency",
    "max_parallel_workers", "max_worker_processes", "jit", "wal_level",
]  # fmt: skip
TABLE = """SELECT (SELECT count(*) FROM (SELECT FROM {name} LIMIT {limit}) AS counted), {estimate},
    pg_total_relation_size(%s)"""


def bundle_write(path: Path, *, log_bytes: int = LOG_BYTES) -> list[str]:
    """Write the bundle into a new file that only its owner can read. Return the problems, empty if all is in it.

    `log_bytes`: of the end of each log file. Raises FileExistsError, and OSError if the file cannot be written.
    """
    masker, problems = Masker(), []
    parts: dict[str, Callable[[], object]] = {
        "about.json": _about,
        "machine.json": _machine,
        "system_info.json": system_info,
        "health.json": lambda: [asdict(each) for each in checks.run(all_services=True)],
        "processes.json": lambda: [asdict(each) for each in processes()],
        "database.json": _database,
        "metrics.txt": lambda: exposition().decode(),
        **{f"logs/{name}": _tail(log, log_bytes) for name, log in _logs()},
    }
    with (
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, read in parts.items():
            try:
                archive.writestr(name, masker.all(_text(read())))
            except Exception as error:
                problems.append(masker.all(f"{name}: {type(error).__name__}: {error}").strip())
        if problems:
            archive.writestr("errors.txt", "\n".join(problems))
    return problems


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    return orjson.dumps(content, default=str, option=orjson.OPT_INDENT_2).decode()


def _about() -> Mapping[str, object]:
    return {
        "create_time": format_time(utc_now()),
        "luna_version": version(),
        "python": platform.python_version(),
        "packages": sorted({f"{each.name.lower()}=={each.version}" for each in distributions()}),
        "variables": sorted(name for name in os.environ if name.startswith("LUNA_") or name.endswith("_URL")),
    }


def _machine() -> Mapping[str, object]:
    var = config(Directories).var
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    return {
        "system": platform.platform(),
        "release": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "processors": {"usable": usable_processors(), "installed": os.cpu_count(), "model": model},
        "load": os.getloadavg(),
        "memory": {name: memory[name].strip() for name in ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")},
        "disk_bytes": shutil.disk_usage(var)._asdict(),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "listening_ports": sorted(_listening()),
    }


def _listening() -> set[int]:
    """Return the TCP ports that processes of this machine listen on."""
    found = set()
    for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            _, local, _, state, *_ = line.split()
            if state == LISTENING:
                found.add(int(local.rpartition(":")[2], 16))
    return found


def _database() -> Mapping[str, object]:
    """Return version, settings, migrations, and rows and bytes by table."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false), version()", [f"{STATEMENT_S}s"])
        try:
            (_, server) = cursor.fetchone()
            cursor.execute("SELECT name, setting, unit FROM pg_settings WHERE name = ANY(%s)", [DATABASE_SETTINGS])
            settings = {name: f"{value} {unit or ''}".strip() for name, value, unit in cursor.fetchall()}
            cursor.execute("SELECT extname, extversion FROM pg_extension ORDER BY extname")
            extensions = dict(cursor.fetchall())
            tables = {table: _table(cursor, table) for table in connection.introspection.django_table_names(True)}
        finally:
            cursor.execute("RESET statement_timeout")
    return {
        "server": server,
        "settings": settings,
        "extensions": extensions,
        "migrations_missing": [f"{migration.app_label}.{migration.name}" for migration, _ in plan],
        "migrations": sorted(".".join(key) for key in executor.loader.applied_migrations),
        "tables": tables,
    }


def _table(cursor: CursorWrapper, table: str) -> dict[str, int]:
    """Return the number of rows, PostgreSQL's estimate for a large table, and the bytes on disk."""
    name, limit = connection.ops.quote_name(table), COUNTED_ROWS + 1
    cursor.execute(TABLE.format(name=name, limit=limit, estimate=ROWS_ESTIMATE.format(table=table)), [table])
    counted, estimate, size = cursor.fetchone()
    return {"rows": counted, "bytes": size} if counted < limit else {"rows_estimate": int(estimate or 0), "bytes": size}


def _logs() -> Iterator[tuple[str, Path]]:
    """Yield the log files of the processes, by their names in the bundle."""
    folders = dict.fromkeys((config(Directories).var / "log", log_folder()))
    names: set[str] = set()
    for folder in folders:
        for pattern in ("*.log", "*.log.1", "luna-*.txt"):
            for path in sorted(folder.glob(pattern)):
                if path.name not in names:
                    names.add(path.name)
                    yield path.name, path


def _tail(path: Path, size: int) -> Callable[[], str]:
    """Return a function that reads the last bytes of a file, without a cut line at the begin."""

    def read() -> str:
        with path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - size)
            file.seek(start)
            data = file.read(size)
        return (data.partition(b"\n")[2] if start else data).decode(errors="replace")

    return read


def default_path() -> Path:
    """Return the file's default name, with the host and the time."""
    return Path(f"luna-support-{socket.gethostname()}-{utc_now():%Y%m%d-%H%M%S}.zip")
