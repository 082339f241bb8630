"""Where images by reference come from: the Image Store for our own, the internet for the rest."""

import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.conf import settings

from apps.common.errors import LunaError
from apps.common.fetch import FetchError, fetch
from apps.common.scope import Scope
from apps.imagestore.choices import Bucket
from apps.imagestore.selectors import objects_get
from apps.imagestore.services import object_open, object_read
from apps.recognition.types import Points

logger = logging.getLogger(__name__)

FETCH_THREADS = 8
UUID_TEXT = r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
OWN_PATHS = (
    (re.compile(rf"/6/images/{UUID_TEXT}"), Bucket.IMAGES),
    (re.compile(rf"/6/samples/faces/{UUID_TEXT}"), Bucket.FACE_SAMPLES),
    (re.compile(rf"/6/samples/bodies/{UUID_TEXT}"), Bucket.BODY_SAMPLES),
)
# Servers that do not know what they serve; everything else that is no image is refused.
NEUTRAL_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Bytes of an image, or why there are none. `landmarks5` as in `ImageInput`, for warps of our own."""

    data: bytes = b""
    error: LunaError | None = None
    landmarks5: Points | None = None


def load_urls(urls: Sequence[str], account_id: UUID | None) -> list[Loaded]:
    """The images at `urls`, in this order. Our own are read from the Image Store, as this account may.

    An image that cannot be had is LunaError 11027, one that says it is something else 11028.
    """
    results: dict[int, Loaded] = {}
    for position, url in enumerate(urls):
        if (own := own_object(url)) is not None:
            results[position] = _own(url, *own, account_id)
    rest = [position for position in range(len(urls)) if position not in results]
    if len(rest) == 1:
        results[rest[0]] = _fetched(urls[rest[0]])
    elif rest:
        with ThreadPoolExecutor(min(FETCH_THREADS, len(rest)), thread_name_prefix="fetch") as pool:
            results |= zip(rest, pool.map(_fetched, [urls[position] for position in rest]), strict=True)
    return [results[position] for position in range(len(urls))]


def load_samples(sample_ids: Sequence[UUID], account_id: UUID | None) -> list[Loaded]:
    """Stored face samples, in this order; one that is missing is LunaError 11031."""
    rows = {}
    if account_id is not None:
        rows = objects_get(scope=Scope(account_id), bucket=Bucket.FACE_SAMPLES, object_ids=sample_ids)
    results = []
    for sample_id in sample_ids:
        row = rows.get(sample_id)
        if row is None:
            results.append(Loaded(error=LunaError(11031, sample_id)))
            continue
        with object_open(stored=row) as file:
            results.append(Loaded(file.read(), landmarks5=stored_landmarks5(row.meta)))
    return results


def stored_landmarks5(meta: dict[str, object]) -> Points | None:
    """The five points of a face sample's meta; None for samples that came from outside."""
    points = meta.get("landmarks5")
    return None if points is None else np.asarray(points, np.float32)


def own_object(url: str) -> tuple[Bucket, UUID] | None:
    """Bucket and id when the URL names an object of this platform."""
    path = url.removeprefix(settings.LUNA_EXTERNAL_ADDRESS.rstrip("/"))
    for pattern, bucket in OWN_PATHS:
        if match := pattern.fullmatch(path):
            return bucket, UUID(match[1])
    return None


def _own(url: str, bucket: Bucket, object_id: UUID, account_id: UUID | None) -> Loaded:
    try:
        if account_id is None:
            raise LunaError(11027, url)
        return Loaded(object_read(scope=Scope(account_id), bucket=bucket, object_id=object_id))
    except LunaError as error:
        return Loaded(error=error if error.status >= 500 else LunaError(11027, url))


def _fetched(url: str) -> Loaded:
    try:
        answer = fetch(url, max_bytes=settings.LUNA_MAX_IMAGE_BYTES, allow_private=settings.LUNA_ALLOW_PRIVATE_URLS)
    except FetchError as error:
        logger.info("an image could not be downloaded: %s", error)
        return Loaded(error=LunaError(11027, url))
    if not answer.content_type.startswith("image/") and answer.content_type not in NEUTRAL_TYPES:
        return Loaded(error=LunaError(11028, url))
    return Loaded(answer.data)
