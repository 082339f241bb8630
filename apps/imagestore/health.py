"""Whether objects can be stored now."""

from pathlib import Path
from tempfile import TemporaryFile

from django.core.files.storage import FileSystemStorage, default_storage

from apps.common.breaker import Breaker
from apps.imagestore.storage import DIRECTORY_MODE


def image_store_check() -> None:
    """Raises OSError when the folder takes no new file, or an error of S3 once those who used it had no answer."""
    breaker: Breaker | None = getattr(default_storage, "breaker", None)
    if breaker is not None and breaker.is_open:
        default_storage.exists("health")  # where nobody else may ask, this finds that it is back
    if isinstance(default_storage, FileSystemStorage):
        folder = default_storage.location
        Path(folder).mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"\0")
