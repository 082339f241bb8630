"""Health check of the Image Store."""

from pathlib import Path
from tempfile import TemporaryFile

from django.core.files.storage import FileSystemStorage, default_storage

from apps.common.breaker import Breaker
from apps.imagestore.storage import DIRECTORY_MODE


def image_store_check() -> None:
    """Check a disk by creating a file (raises OSError), and S3, if its circuit breaker is open, by a trial call."""
    breaker: Breaker | None = getattr(default_storage, "breaker", None)
    if breaker is not None and breaker.is_open:
        default_storage.exists("health")  # a trial call closes the breaker once S3 answers
    if isinstance(default_storage, FileSystemStorage):
        folder = default_storage.location
        Path(folder).mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"\0")
