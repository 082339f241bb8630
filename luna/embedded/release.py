"""The release of this checkout: a checksum of the code that the processes run."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from luna.embedded.addresses import CHECKOUT

DIRECTORIES = ("luna", "apps", "templates", "static")
FILES = ("manage.py", "requirements.txt")  # packages are installed from the latter


def release(checkout: Path = CHECKOUT) -> str:
    """Return the SHA-256 of names and content of all files that the platform's processes load from a checkout."""
    whole = hashlib.sha256()
    for path in sorted(_files(checkout)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(checkout)} {content}\n".encode())
    return whole.hexdigest()


def _files(checkout: Path) -> Iterator[Path]:
    for name in DIRECTORIES:
        for path in (checkout / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    yield from (checkout / name for name in FILES if (checkout / name).is_file())
