"""The directories of the platform's data and the addresses of PostgreSQL and Redis.

All of them derive from the environment and the name of the var directory, so settings can be read while no service
runs. Embedded services listen on Unix sockets in private directories. So no port can collide, and other users of the
machine can neither connect to a service nor impersonate it.
"""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import quote

from luna.embedded.secrets import secret

CHECKOUT = Path(__file__).resolve().parent.parent.parent
DATABASE = "luna"
POSTGRES_PORT = 5432  # part of the socket's file name; PostgreSQL listens on no port
# sun_path of a socket address holds 108 bytes with its NUL; the longest name is .s.PGSQL.5432.lock.
_MAX_SOCKET_DIR_BYTES = 107 - len("/.s.PGSQL.5432.lock")


def var_dir() -> Path:
    """Return the directory of all files that this installation writes: LUNA_VAR_DIR, else `var` of the checkout."""
    return Path(os.environ.get("LUNA_VAR_DIR") or CHECKOUT / "var").resolve()


def networks_dir(var: Path) -> Path:
    """Return the directory of the built networks: LUNA_NETWORKS_DIR, else `networks` in the var directory."""
    return Path(os.environ.get("LUNA_NETWORKS_DIR") or var / "networks").resolve()


def digest(path: Path) -> str:
    """Return a short name of a directory, unique on this machine: 12 hexadecimal digits of its path's SHA-256."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def socket_dir(home: Path) -> Path:
    """Return the private directory for the socket of the service whose data is in `home`.

    It is `home/run`, or a directory under /tmp when that path is too long for a socket or contains characters that
    connection strings would have to escape.
    """
    near = home.resolve() / "run"
    if len(os.fsencode(near)) <= _MAX_SOCKET_DIR_BYTES and re.fullmatch(r"[\w/.+-]+", str(near), re.ASCII):
        return near
    return Path("/tmp") / f"luna-{digest(near)}"  # noqa: S108 - `own_private_dir` checks owner and mode


def postgres_home(var: Path) -> Path:
    return var / "postgres"


def redis_home(var: Path) -> Path:
    return var / "redis"


def redis_socket(var: Path) -> Path:
    return socket_dir(redis_home(var)) / "redis.sock"


def embeds_postgres() -> bool:
    """Return whether the embedded PostgreSQL is used: DATABASE_URL is not set."""
    return not os.environ.get("DATABASE_URL")


def postgres_client_environment(var: Path) -> dict[str, str]:
    """Return the environment of a client program of the embedded database: nothing of the operator's shell but HOME."""
    return {
        "LC_ALL": "C",
        "HOME": os.environ.get("HOME", "/"),
        "PGHOST": str(socket_dir(postgres_home(var))),
        "PGPORT": str(POSTGRES_PORT),
        "PGUSER": DATABASE,
        "PGPASSWORD": secret(var, "postgres-password"),
    }


def embeds_redis() -> bool:
    """Return whether the embedded Redis is used: REDIS_URL is not set."""
    return not os.environ.get("REDIS_URL")


def database_url() -> str:
    """Return DATABASE_URL, else the URL of the embedded PostgreSQL in libpq's form (percent-encoded host)."""
    if not embeds_postgres():
        return os.environ["DATABASE_URL"]
    host = quote(str(socket_dir(postgres_home(var_dir()))), safe="")
    return f"postgresql://{DATABASE}:{secret(var_dir(), 'postgres-password')}@{host}:{POSTGRES_PORT}/{DATABASE}"


def redis_url() -> str:
    """Return REDIS_URL, else the URL of the embedded Redis in redis-py's form (unix://)."""
    if not embeds_redis():
        return os.environ["REDIS_URL"]
    return f"unix://:{secret(var_dir(), 'redis-password')}@{redis_socket(var_dir())}?db=0"


def celery_broker_url(url: str) -> str:
    """Convert a Redis URL into Celery's form, which has another scheme for Unix sockets."""
    if not url.startswith("unix://"):
        return url
    return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
