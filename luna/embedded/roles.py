"""The roles of the embedded PostgreSQL: the platform's own is no superuser.

`initdb` makes one role, a superuser that cannot be demoted. It is renamed to `postgres`, and a role of the platform's
name without that right takes over its database. Clusters of older releases are changed in the same way when they start.
"""

import os
import subprocess
from pathlib import Path

from luna.embedded.addresses import DATABASE, POSTGRES_PORT, postgres_home, socket_dir
from luna.embedded.processes import EmbeddedError
from luna.embedded.secrets import secret

PSQL_TIMEOUT_S = 120

_IS_SUPERUSER = f"SELECT rolsuper FROM pg_roles WHERE rolname = '{DATABASE}'"  # noqa: S608 - our own constant

# A session's own role cannot be renamed: it becomes another one for that statement. pgvector needs a superuser: every
# database is made from template1, which has it. CREATEDB is for tests and for a restore.
_DEMOTE = """\
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE oid = 10 AND rolname = '{role}') THEN
        CREATE ROLE luna_maker SUPERUSER;
        SET SESSION AUTHORIZATION luna_maker;
        ALTER ROLE {role} RENAME TO postgres;
        RESET SESSION AUTHORIZATION;
        DROP ROLE luna_maker;
        ALTER ROLE postgres PASSWORD '{superuser_password}';
        CREATE ROLE {role} LOGIN SUPERUSER CREATEDB PASSWORD '{password}';
        ALTER DATABASE {role} OWNER TO {role};
    END IF;
END
$$;
\\connect template1 {role}
CREATE EXTENSION IF NOT EXISTS vector;
\\connect {role} {role}
CREATE EXTENSION IF NOT EXISTS vector;
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER TABLE %s OWNER TO {role}', oid::regclass) FROM pg_class
        WHERE relowner = 10 AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
            AND deptype IN ('a', 'e', 'i')
        )
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO {role}', oid::regprocedure) FROM pg_proc
        WHERE proowner = 10 AND pronamespace = 'public'::regnamespace
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
        )
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
ALTER ROLE {role} NOSUPERUSER;
"""


def demote(var: Path, software: Path) -> None:
    """Take the superuser's right from the platform's role, once. The server runs.

    Raises EmbeddedError where that fails; the next start tries again.
    """
    if _psql(var, software, _IS_SUPERUSER).strip() != "t":
        return
    _psql(
        var,
        software,
        _DEMOTE.format(
            role=DATABASE,
            password=secret(var, "postgres-password"),
            superuser_password=secret(var, "postgres-superuser-password"),
        ),
    )


def _psql(var: Path, software: Path, script: str) -> str:
    """The output of a script that runs as the platform's role in the database `postgres`."""
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]
    done = subprocess.run(  # noqa: S603 - our own command
        [software / "bin" / "psql", *options, "--dbname", "postgres"],
        input=script,
        env={
            "LC_ALL": "C",
            "HOME": os.environ.get("HOME", "/"),
            "PGHOST": str(socket_dir(postgres_home(var))),
            "PGPORT": str(POSTGRES_PORT),
            "PGUSER": DATABASE,
            "PGPASSWORD": secret(var, "postgres-password"),
            "PGOPTIONS": "-c client_min_messages=warning",
        },
        capture_output=True,
        text=True,
        timeout=PSQL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise EmbeddedError(f"The roles of PostgreSQL cannot be set: {done.stderr.strip()}")
    return done.stdout
