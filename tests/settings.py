"""Settings of the test run: fast password hashing, everything else as in production.

They are outside of `luna.settings`, because its import reads the environment, which must be set before.
"""

import os
from pathlib import Path

from luna.embedded.addresses import CHECKOUT


def built_networks(source: Path, links: Path) -> Path:
    """Return `links` with a link to each network file of `source`, without an operator's selection and additions."""
    links.mkdir(parents=True, exist_ok=True)
    for path in links.glob("*.onnx"):
        path.unlink(missing_ok=True)
    for path in source.glob("*.onnx"):
        (links / path.name).symlink_to(path)
    return links


# Tests have services and files of their own (Redis is emptied before each); the built networks are the checkout's.
for foreign in ("DATABASE_URL", "REDIS_URL"):
    os.environ.pop(foreign, None)
VAR = CHECKOUT / "var"
if "LUNA_NETWORKS_DIR" not in os.environ:
    os.environ["LUNA_NETWORKS_DIR"] = str(built_networks(VAR / "networks", VAR / "test" / "networks"))
os.environ.setdefault("LUNA_CACHE_DIR", str(VAR / "cache"))
os.environ.setdefault("LUNA_VAR_DIR", str(VAR / "test"))
# Each process of pytest-xdist has services of its own.
worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker and not os.environ["LUNA_VAR_DIR"].endswith(f"-{worker}"):
    os.environ["LUNA_VAR_DIR"] += f"-{worker}"
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # the first process's, inherited

from apps.common.config import Directories, config  # noqa: E402
from luna.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # each test client makes the middleware anew, and listing all files takes 30 ms
STORAGES["default"] = {  # noqa: F405
    "BACKEND": "apps.imagestore.storage.DiskStorage",
    "OPTIONS": {"location": str(config(Directories).var / "test-image-store")},
}
