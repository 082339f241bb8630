"""Sources of images by reference: the Image Store for stored objects, downloads for other URLs."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from apps.common import errors
from apps.common.budget import Budget
from apps.common.config import ExternalAddress, Images, OutgoingRequests, config
from apps.common.errors import LunaError
from apps.common.fetch import Fetched, FetchError, Timeouts, fetch
from apps.common.parts import IMAGE_STORE, part_check, part_is_on
from apps.common.scope import Scope
from apps.imagestore.addresses import object_of_address
from apps.imagestore.choices import Bucket, audit_type, holds_pictures
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import object_get, objects_get
from apps.imagestore.services import object_bytes
from apps.recognition.config import ImageDownloads
from apps.recognition.types import Points

logger = logging.getLogger(__name__)

FETCH_THREADS = 8
# Concurrent requests that download images. A slow server blocks each until its time limit; other threads remain free.
DOWNLOADS_AT_ONCE = 4
_downloads = Budget("pictures are being downloaded", DOWNLOADS_AT_ONCE, 0.0)
# Content types of servers that do not know the type. Any other type that is not an image is rejected.
NEUTRAL_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Bytes of an image, or the error that prevented loading them.

    `landmarks5`: as in `ImageInput`, for stored face samples. `stored`: the row of an image from the Image Store.
    """

    data: bytes = b""
    error: LunaError | None = None
    landmarks5: Points | None = None
    stored: StoredObject | None = None


Readable = Callable[[str], bool]  # argument: the kind of an object, "face_sample" or "image"


def everything(kind: str) -> bool:
    """Return True: the client may read all kinds of objects."""
    return True


def load_urls(urls: Sequence[str], account_id: UUID | None, readable: Readable = everything) -> list[Loaded]:
    """Return the images at `urls`, in this order. URLs of this platform are read from the Image Store.

    The error of an image is LunaError IMAGE_DOWNLOAD_FAILED if it cannot be loaded or read by this client, and
    BAD_IMAGE_CONTENT_TYPE if its content type is not an image. Raises LunaError SERVICE_BUSY if too many requests
    download at the same time.
    """
    results: dict[int, Loaded] = {}
    for position, url in enumerate(urls):
        if (own := own_object(url)) is not None:
            results[position] = _own(url, *own, account_id, readable)
    rest = [position for position in range(len(urls)) if position not in results]
    if rest:
        with _downloads.take(1):
            results |= zip(rest, _all_fetched([urls[position] for position in rest]), strict=True)
    return [results[position] for position in range(len(urls))]


def load_samples(
    sample_ids: Sequence[UUID], account_id: UUID | None, readable: Readable = everything
) -> list[Loaded]:  # fmt: skip
    """Return stored face samples, in this order.

    The error of a missing sample is LunaError SAMPLE_NOT_FOUND. Raises LunaError IMAGE_STORE_DISABLED.
    """
    part_check(IMAGE_STORE)
    rows = {}
    if account_id is not None and readable(audit_type(Bucket.FACE_SAMPLES)):
        rows = objects_get(scope=Scope(account_id), bucket=Bucket.FACE_SAMPLES, object_ids=sample_ids)
    results = []
    for sample_id in sample_ids:
        row = rows.get(sample_id)
        if row is None:
            results.append(Loaded(error=LunaError(errors.SAMPLE_NOT_FOUND, sample_id)))
            continue
        results.append(Loaded(object_bytes(stored=row), landmarks5=stored_landmarks5(row.meta), stored=row))
    return results


def stored_landmarks5(meta: dict[str, object]) -> Points | None:
    """Return the five landmarks in a face sample's meta, None for a sample that a client uploaded."""
    points = meta.get("landmarks5")
    return None if points is None else np.asarray(points, np.float32)


def own_object(url: str) -> tuple[str, UUID] | None:
    """Return bucket and id if the URL names an image or sample of this platform, else None."""
    found = object_of_address(url.removeprefix(config(ExternalAddress).origin))
    return found if found and holds_pictures(found[0]) else None


def _own(url: str, bucket: str, object_id: UUID, account_id: UUID | None, readable: Readable) -> Loaded:
    if not part_is_on(IMAGE_STORE):
        return Loaded(error=LunaError(errors.IMAGE_STORE_DISABLED))
    try:
        if account_id is None or not readable(audit_type(bucket)):
            raise LunaError(errors.IMAGE_DOWNLOAD_FAILED, url)
        row = object_get(scope=Scope(account_id), bucket=bucket, object_id=object_id)
        return Loaded(object_bytes(stored=row), stored=row)
    except LunaError as error:
        return Loaded(error=error if error.status >= 500 else LunaError(errors.IMAGE_DOWNLOAD_FAILED, url))


def _all_fetched(urls: Sequence[str]) -> list[Loaded]:
    if len(urls) == 1:
        return [_fetched(urls[0])]
    with ThreadPoolExecutor(min(FETCH_THREADS, len(urls)), thread_name_prefix="fetch") as pool:
        return list(pool.map(_fetched, urls))


def _fetched(url: str) -> Loaded:
    try:
        answer = picture_fetch(url)
    except FetchError as error:
        logger.info("image download failed: %s", error)
        return Loaded(error=LunaError(errors.IMAGE_DOWNLOAD_FAILED, url))
    if not is_picture(answer):
        return Loaded(error=LunaError(errors.BAD_IMAGE_CONTENT_TYPE, url))
    return Loaded(answer.data)


def picture_fetch(url: str) -> Fetched:
    """Download a picture within the platform's limits. Raises FetchError."""
    return fetch(
        url,
        max_bytes=config(Images).max_bytes,
        timeouts=download_timeouts(),
        allow_private=config(OutgoingRequests).allow_private_urls,
    )


def is_picture(answer: Fetched) -> bool:
    """Return whether the content type of a response permits a picture."""
    return answer.content_type.startswith("image/") or answer.content_type in NEUTRAL_TYPES


def download_timeouts() -> Timeouts:
    """Return the time limits of a request to a URL of a client."""
    limits = config(ImageDownloads)
    return Timeouts(
        total_s=limits.request, connect_s=min(limits.connect, limits.sock_connect), silence_s=limits.sock_request
    )
