"""Where images by reference come from: the Image Store for our own, the internet for the rest."""

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
from apps.common.fetch import FetchError, fetch
from apps.common.scope import Scope
from apps.imagestore.addresses import object_of_address
from apps.imagestore.choices import Bucket, audit_type, holds_pictures
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import object_get, objects_get
from apps.imagestore.services import object_bytes
from apps.recognition.types import Points

logger = logging.getLogger(__name__)

FETCH_THREADS = 8
# Requests that download at a time. A slow server holds each for ten seconds: the other threads serve other requests.
DOWNLOADS_AT_ONCE = 4
_downloads = Budget("pictures are being downloaded", DOWNLOADS_AT_ONCE, 0.0)
# Servers that do not know what they serve; everything else that is no image is refused.
NEUTRAL_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Bytes of an image, or why there are none. `landmarks5` as in `ImageInput`, for warps of our own; `stored`: the
    row of an image that came from the Image Store."""

    data: bytes = b""
    error: LunaError | None = None
    landmarks5: Points | None = None
    stored: StoredObject | None = None


Readable = Callable[[str], bool]  # takes the kind of an object, "face_sample" or "image"


def everything(kind: str) -> bool:
    """For who may use all that the account has."""
    return True


def load_urls(urls: Sequence[str], account_id: UUID | None, readable: Readable = everything) -> list[Loaded]:
    """The images at `urls`, in this order. Our own are read from the Image Store, as this client may.

    An image that cannot be had is LunaError IMAGE_DOWNLOAD_FAILED, one that says it is something else
    BAD_IMAGE_CONTENT_TYPE. Raises LunaError SERVICE_BUSY where too many requests download already.
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
    """Stored face samples, in this order; one that is missing is LunaError SAMPLE_NOT_FOUND."""
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
    """The five points of a face sample's meta; None for samples that came from outside."""
    points = meta.get("landmarks5")
    return None if points is None else np.asarray(points, np.float32)


def own_object(url: str) -> tuple[str, UUID] | None:
    """Bucket and id when the URL names an image or sample of this platform."""
    found = object_of_address(url.removeprefix(config(ExternalAddress).origin))
    return found if found and holds_pictures(found[0]) else None


def _own(url: str, bucket: str, object_id: UUID, account_id: UUID | None, readable: Readable) -> Loaded:
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
        answer = fetch(
            url, max_bytes=config(Images).max_bytes, allow_private=config(OutgoingRequests).allow_private_urls
        )
    except FetchError as error:
        logger.info("an image could not be downloaded: %s", error)
        return Loaded(error=LunaError(errors.IMAGE_DOWNLOAD_FAILED, url))
    if not answer.content_type.startswith("image/") and answer.content_type not in NEUTRAL_TYPES:
        return Loaded(error=LunaError(errors.BAD_IMAGE_CONTENT_TYPE, url))
    return Loaded(answer.data)
