"""Run the benchmarks on embedded services of their own and print one table: `python -m tests.perf [name ...]`.

Every module of this folder with a `bench() -> list[Row]` is a benchmark; its name chooses it. Long benchmarks run by
name only. The services start unless all chosen benchmarks are in `WITHOUT_SERVICES`. Log lines of the platform go to
`var/bench.log`.
"""

import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

import django

from tests.perf.report import Row, render

# As in the platform's processes: threads of numeric libraries stall one another on few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

HERE = Path(__file__).parent
NOT_BENCHMARKS = {"__main__", "filling", "listeners", "people", "report", "scans", "web"}
LONG = {
    "indexes",
    "events_table",
    "exporter",
    "gpu_matching",
    "joined",
    "list_among_many",
    "list_memory",
    "lists",
    "matcher",
    "memory",
    "operator",
    "pages",
    "scale",
    "segments",
    "soak",
    "thin",
}
WITHOUT_SERVICES = {"device", "engine", "gpu_matching"}  # a machine with a GPU needs no PostgreSQL for them


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules([str(HERE)]) if module.name not in NOT_BENCHMARKS)


@contextmanager
def output_logged(path: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Send the output of this process and its children to `path`; give the terminal's stdout and stderr."""
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")
    with path.open("w", encoding="utf-8") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        try:
            yield terminal
        finally:
            sys.stdout.flush()
            for descriptor, stream in enumerate(terminal, start=1):
                stream.flush()
                os.dup2(stream.fileno(), descriptor)


def main(chosen: list[str]) -> int:
    unknown = set(chosen) - set(names())
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    root = HERE.parent.parent
    log = root / "var" / "bench.log"
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as var_dir, output_logged(log) as (table, progress):
        os.chmod(var_dir, 0o711)  # noqa: S103 - under root, PostgreSQL's user must be able to pass through
        os.environ["LUNA_VAR_DIR"] = var_dir
        os.environ.setdefault("LUNA_NETWORKS_DIR", str(root / "var" / "networks"))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        benchmarks = chosen or sorted(set(names()) - LONG)
        with nullcontext() if set(benchmarks) <= WITHOUT_SERVICES else embedded_services(root):
            django.setup()
            rows: list[Row] = []
            for name in benchmarks:
                print(f"… {name}", file=progress, flush=True)
                rows += importlib.import_module(f"tests.perf.{name}").bench()
            print(render(rows), file=table, flush=True)
    return 0


@contextmanager
def embedded_services(root: Path) -> Iterator[None]:
    """Start PostgreSQL and Redis with an empty database, and stop them at the end."""
    services = [sys.executable, "-m", "luna.embedded"]
    subprocess.run([*services, "start"], check=True, cwd=root)
    try:
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield
    finally:
        subprocess.run([*services, "stop"], check=False, cwd=root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
