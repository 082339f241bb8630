"""Settings of the test run: fast password hashing, everything else as in production."""

from luna.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["default"]["OPTIONS"]["location"] = str(VAR_DIR / "test-image-store")  # noqa: F405
