"""Secrets that this installation makes for itself, each in a file of its owner's only."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def private_dir(path: Path) -> Path:
    """Make a directory that only its owner may enter, unless it exists; its parent becomes a var directory."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    # Root's PostgreSQL runs as another user, which must be able to pass through.
    path.parent.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def secret(var: Path, name: str) -> str:
    """The secret of this name: 43 random URL-safe characters, made at the first call and kept in a 0600 file.

    Processes that ask for it at the same moment get the same one.
    """
    path = private_dir(var / "secrets") / name
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as made:  # 0600 from the start
            made.write(secrets.token_urlsafe(32))
            made.flush()
            os.fsync(made.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first: its secret stands
                os.link(made.name, path)
    return path.read_text()


def secret_key(var: Path) -> str:
    """Django's SECRET_KEY of this installation."""
    return secret(var, "django-secret-key")
