"""Where the platform keeps its data and where PostgreSQL and Redis are found.

Everything here follows from the environment and the name of the var directory alone, so settings can be read
while no service runs. Embedded services listen on sockets in private directories: no port to collide, nothing
for other users of the machine to connect to or to impersonate.
"""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import quote

from luna.embedded.secrets import secret

CHECKOUT = Path(__file__).resolve().parent.parent.parent
DATABASE = "luna"
POSTGRES_PORT = 5432  # names the socket file only, PostgreSQL listens on no port
# sun_path of a socket address holds 108 bytes with its end; the longest name is .s.PGSQL.5432.lock.
_MAX_SOCKET_DIR_BYTES = 107 - len("/.s.PGSQL.5432.lock")


def var_dir() -> Path:
    """The directory of everything that this installation writes: LUNA_VAR_DIR, else `var` of the checkout."""
    return Path(os.environ.get("LUNA_VAR_DIR") or CHECKOUT / "var").resolve()


def networks_dir(var: Path) -> Path:
    """The directory of the built networks: LUNA_NETWORKS_DIR, else `networks` in the var directory."""
    return Path(os.environ.get("LUNA_NETWORKS_DIR") or var / "networks").resolve()


def digest(path: Path) -> str:
    """A short name for a directory, distinct for every directory of this machine."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def socket_dir(home: Path) -> Path:
    """The private directory of the socket of the service that lives in `home`.

    `home/run`, or a directory of the same meaning under /tmp where that name is too long for a socket or has
    characters that connection strings would need to escape.
    """
    near = home.resolve() / "run"
    if len(os.fsencode(near)) <= _MAX_SOCKET_DIR_BYTES and re.fullmatch(r"[\w/.+-]+", str(near), re.ASCII):
        return near
    return Path("/tmp") / f"luna-{digest(near)}"  # noqa: S108 - made private, and its owner checked, at start


def postgres_home(var: Path) -> Path:
    return var / "postgres"


def redis_home(var: Path) -> Path:
    return var / "redis"


def redis_socket(var: Path) -> Path:
    return socket_dir(redis_home(var)) / "redis.sock"


def embeds_postgres() -> bool:
    """Whether PostgreSQL is ours to run: no DATABASE_URL was given."""
    return not os.environ.get("DATABASE_URL")


def embeds_redis() -> bool:
    """Whether Redis is ours to run: no REDIS_URL was given."""
    return not os.environ.get("REDIS_URL")


def database_url() -> str:
    """DATABASE_URL, else the URL of the embedded PostgreSQL in the form that libpq reads (host escaped)."""
    if not embeds_postgres():
        return os.environ["DATABASE_URL"]
    host = quote(str(socket_dir(postgres_home(var_dir()))), safe="")
    return f"postgresql://{DATABASE}:{secret(var_dir(), 'postgres-password')}@{host}:{POSTGRES_PORT}/{DATABASE}"


def redis_url() -> str:
    """REDIS_URL, else the URL of the embedded Redis in the form that redis-py reads (unix://)."""
    if not embeds_redis():
        return os.environ["REDIS_URL"]
    return f"unix://:{secret(var_dir(), 'redis-password')}@{redis_socket(var_dir())}?db=0"


def celery_broker_url(url: str) -> str:
    """The same Redis in the form that Celery reads: sockets have another scheme there."""
    if not url.startswith("unix://"):
        return url
    return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
