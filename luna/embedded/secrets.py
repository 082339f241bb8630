"""Secrets that this installation generates, each in a file that only its owner may read."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def private_dir(path: Path) -> Path:
    """Create a directory that only its owner may enter. Its parent, the var directory, is created too."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    # Under root, PostgreSQL runs as another user, which must be able to traverse it.
    path.parent.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def secret(var: Path, name: str) -> str:
    """Return the secret of this name: 43 random URL-safe characters in a 0600 file.

    The first call generates it. Concurrent calls return the same secret.
    """
    path = private_dir(var / "secrets") / name
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as made:  # 0600 from the start
            made.write(secrets.token_urlsafe(32))
            made.flush()
            os.fsync(made.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first: use its secret
                os.link(made.name, path)
    return path.read_text()


def secret_key(var: Path) -> str:
    """Return Django's SECRET_KEY of this installation."""
    return secret(var, "django-secret-key")
