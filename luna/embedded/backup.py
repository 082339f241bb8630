"""Dump the embedded database into a file, and restore a dump into a new cluster.

Both use the programs of the package that contains PostgreSQL. A dump of an older PostgreSQL can be restored into a
newer one, which is the way from one major version to the next.
"""

import subprocess
import tempfile
from pathlib import Path

from luna.embedded import postgres, services
from luna.embedded.addresses import DATABASE, embeds_postgres, postgres_client_environment, postgres_home
from luna.embedded.processes import EmbeddedError

# The platform's role owns everything in the database, and is not allowed to comment on the extension.
_PORTABLE = ("--no-owner", "--no-privileges", "--no-comments")
_TABLES = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def dump(var: Path, file: Path) -> None:
    """Write all rows into a file of `pg_dump`, which only its owner may read. The platform may run.

    Raises EmbeddedError; then `file` is unchanged.
    """
    _require_embedded("pg_dump")
    if not postgres.data_dir(var).exists():
        raise EmbeddedError(f"There is no database in {postgres_home(var)}.")
    started = services.start(var)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as work:  # 0700
            made = Path(work) / file.name
            run(var, "pg_dump", "--format=custom", *_PORTABLE, "--file", made)
            made.chmod(0o600)
            made.replace(file)
    finally:
        if started:
            services.stop(var)


def restore(var: Path, file: Path) -> Path | None:
    """Restore a dump into an empty database, in one transaction. The platform must not run.

    Return the directory that holds the data of another major version of PostgreSQL from now on, if there was any.
    Raises EmbeddedError for a missing file, for a database with tables and for a dump that cannot be restored.
    """
    _require_embedded("pg_restore")
    if not file.is_file():
        raise EmbeddedError(f"The dump {file} does not exist.")
    kept = postgres.set_aside(var)
    started = services.start(var)
    try:
        if run(var, "psql", "--tuples-only", "--no-align", "--command", _TABLES).strip() != "0":
            raise EmbeddedError(
                f"The database in {postgres_home(var)} holds data: move that directory away, or choose another "
                "LUNA_VAR_DIR."
            )
        run(var, "pg_restore", "--dbname", DATABASE, *_PORTABLE, "--exit-on-error", "--single-transaction", file)
    finally:
        if started:
            services.stop(var)
    return kept


def run(var: Path, program: str, *arguments: str | Path) -> str:
    """Run a client program of the package on the embedded database and return its output. Raises EmbeddedError."""
    done = subprocess.run(  # noqa: S603 - a fixed command
        [postgres.software_dir() / "bin" / program, *arguments],
        env=postgres_client_environment(var) | {"PGDATABASE": DATABASE},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EmbeddedError(f"{program} failed: {' '.join(done.stderr.split())}")
    return done.stdout


def _require_embedded(program: str) -> None:
    if not embeds_postgres():
        raise EmbeddedError(f"DATABASE_URL names another PostgreSQL: use the {program} of its version.")
