"""The roles of the embedded PostgreSQL: the platform's role is not a superuser.

`initdb` creates one role, a superuser that cannot be demoted. It is renamed to `postgres`, and a new role with the
platform's name takes over the database. Clusters of older releases are changed in the same way at their next start.
"""

import subprocess
from pathlib import Path

from luna.embedded.addresses import DATABASE, postgres_client_environment
from luna.embedded.processes import EmbeddedError
from luna.embedded.secrets import secret

PSQL_TIMEOUT_S = 120

_IS_SUPERUSER = f"SELECT rolsuper FROM pg_roles WHERE rolname = '{DATABASE}'"  # noqa: S608 - a constant

# A session cannot rename its own role, so a temporary role does. Only a superuser can install pgvector, so template1,
# the template of all databases, contains it. Tests and restores need CREATEDB.
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
    """Make the platform's role an ordinary one if it is a superuser. The server must run.

    Raises EmbeddedError when that fails; the next start tries again.
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
    """Run a script as the platform's role in the database `postgres` and return its output."""
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]
    done = subprocess.run(  # noqa: S603 - a fixed command
        [software / "bin" / "psql", *options, "--dbname", "postgres"],
        input=script,
        env=postgres_client_environment(var) | {"PGOPTIONS": "-c client_min_messages=warning"},
        capture_output=True,
        text=True,
        timeout=PSQL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise EmbeddedError(f"Cannot set the roles of PostgreSQL: {done.stderr.strip()}")
    return done.stdout
