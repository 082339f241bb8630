"""Whether objects can be stored now."""

from pathlib import Path
from tempfile import TemporaryFile

from django.core.files.storage import FileSystemStorage, default_storage

from apps.imagestore.storage import DIRECTORY_MODE


def image_store_check() -> None:
    """Raises OSError when the folder takes no new file. Other storages answer for themselves when they are used."""
    if isinstance(default_storage, FileSystemStorage):
        folder = default_storage.location
        Path(folder).mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"\0")
