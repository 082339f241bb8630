"""Settings of the test run: fast password hashing, everything else as in production.

They stand outside `luna.settings`, whose import reads the environment: what is set here comes first.
"""

import os

from luna.embedded.addresses import CHECKOUT

# Tests have services and files of their own (Redis is emptied before each); the built networks are the checkout's.
for foreign in ("DATABASE_URL", "REDIS_URL"):
    os.environ.pop(foreign, None)
os.environ.setdefault("LUNA_NETWORKS_DIR", str(CHECKOUT / "var" / "networks"))
os.environ.setdefault("LUNA_CACHE_DIR", str(CHECKOUT / "var" / "cache"))
os.environ.setdefault("LUNA_VAR_DIR", str(CHECKOUT / "var" / "test"))
# Each process of pytest-xdist has services of its own.
worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker and not os.environ["LUNA_VAR_DIR"].endswith(f"-{worker}"):
    os.environ["LUNA_VAR_DIR"] += f"-{worker}"

from apps.common.config import Directories, config  # noqa: E402
from luna.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # each test client makes the middleware anew, and listing all files takes 30 ms
STORAGES["default"] = {  # noqa: F405
    "BACKEND": "apps.imagestore.storage.DiskStorage",
    "OPTIONS": {"location": str(config(Directories).var / "test-image-store")},
}
