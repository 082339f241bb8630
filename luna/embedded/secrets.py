"""Secrets that this installation generates, each in a file that only its owner may read."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


class VarDirError(Exception):
    """The var directory cannot be used. The message is one sentence for the operator."""

    def __init__(self, var: Path, error: OSError) -> None:
        super().__init__(f"LUNA_VAR_DIR must be a directory that this user may write, got {str(var)!r}: {error}.")


def private_dir(path: Path) -> Path:
    """Create a directory that only its owner may enter. Its parent, the var directory, is created too.

    Raises VarDirError.
    """
    try:
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        # Under root, PostgreSQL runs as another user, which must be able to traverse it.
        path.parent.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise VarDirError(path.parent, error) from None
    return path


def secret(var: Path, name: str) -> str:
    """Return the secret of this name: 43 random URL-safe characters in a 0600 file.

    The first call generates it. Concurrent calls return the same secret. Raises VarDirError.
    """
    path = private_dir(var / "secrets") / name
    try:
        if not path.exists():
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as made:  # 0600 from the start
                made.write(secrets.token_urlsafe(32))
                made.flush()
                os.fsync(made.fileno())
                with contextlib.suppress(FileExistsError):  # another process was first: use its secret
                    os.link(made.name, path)
        return path.read_text()
    except OSError as error:
        raise VarDirError(var, error) from None


def secret_key(var: Path) -> str:
    """Return Django's SECRET_KEY of this installation."""
    return secret(var, "django-secret-key")
