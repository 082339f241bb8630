"""Deletion of source images of events (`image_origin`): own objects, and files on servers of clients."""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from uuid import UUID

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.config import OutgoingRequests, config
from apps.common.errors import LunaError
from apps.common.fetch import FetchError, delete, shown_url
from apps.common.fields import parse_uuid
from apps.events.models import Event
from apps.faces.models import Face
from apps.imagestore.addresses import sample_of_address
from apps.imagestore.choices import Bucket
from apps.imagestore.services import objects_remove
from apps.recognition.inputs.sources import download_timeouts, own_object
from apps.tasks.types.base import TaskRun

logger = logging.getLogger(__name__)

THREADS = 8
WAIT_S = 0.1
GONE = frozenset({404, 410})

Stored = dict[tuple[UUID, str], list[UUID]]
"""Ids of stored objects by account and bucket."""


def samples_of_faces(faces: Iterable[Face]) -> Stored:
    """Return the samples of faces, with their attributes loaded: those of the attribute, and of the avatar."""
    found: Stored = {}
    for face in faces:
        attribute = getattr(face, "attribute", None)
        samples = [*attribute.descriptor_samples, *attribute.basic_attributes_samples] if attribute else []
        avatar = sample_of_address(face.avatar)
        samples += [] if avatar is None else [avatar]
        found.setdefault((face.account_id, Bucket.FACE_SAMPLES), []).extend(samples)
    return found


def samples_of_events(events: Iterable[Event]) -> Stored:
    """Return the face and body samples of events."""
    found: Stored = {}
    for event in events:
        for detections, bucket in (
            (event.face_detections, Bucket.FACE_SAMPLES),
            (event.body_detections, Bucket.BODY_SAMPLES),
        ):
            ids = (parse_uuid(detection.get("sample_id")) for detection in detections)
            found.setdefault((event.account_id, bucket), []).extend(each for each in ids if each is not None)
    return found


def origins_of(events: Iterable[Event]) -> tuple[Stored, dict[str, UUID]]:
    """Return the source images of events: own objects, and URLs of other servers with the id of an event."""
    own: Stored = {}
    foreign: dict[str, UUID] = {}
    for event in events:
        for detection in (*event.face_detections, *event.body_detections):
            origin = detection.get("image_origin")
            if not isinstance(origin, str):
                continue
            if found := own_object(origin):
                own.setdefault((event.account_id, found[0]), []).append(found[1])
            elif origin.startswith(("http://", "https://")):
                foreign.setdefault(origin, event.event_id)
    return own, foreign


def stored_remove(*stored: Stored, actor: Actor) -> int:
    """Delete the existing ones of stored objects, each within its account, and return their number."""
    return sum(
        objects_remove(account_id=account_id, bucket=bucket, object_ids=[*dict.fromkeys(ids)], actor=actor)
        for each in stored
        for (account_id, bucket), ids in each.items()
        if ids
    )


def foreign_remove(run: TaskRun, urls: Mapping[str, UUID]) -> int:
    """Send a DELETE request to each URL, and return how many were deleted or had gone before.

    A failure is an error of the task, UNKNOWN_SERVICE_ERROR. Addresses inside the network are not asked.
    """
    if not urls:
        return 0
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="origins")
    try:
        sent = [(url, event_id, pool.submit(_deleted, url)) for url, event_id in urls.items()]
        return sum(_done(run, future, url, event_id) for url, event_id, future in sent)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _done(run: TaskRun, future: "Future[bool]", url: str, event_id: UUID) -> bool:
    while True:
        run.check()
        try:
            deleted = future.result(WAIT_S)
        except NotYetError:
            continue
        if not deleted:
            place = shown_url(url)[:512]
            run.error(LunaError(errors.UNKNOWN_SERVICE_ERROR, "image origin", "DELETE", place), info=str(event_id))
        return deleted


def _deleted(url: str) -> bool:
    try:
        allow_private = config(OutgoingRequests).allow_private_urls
        status = delete(url, timeouts=download_timeouts(), allow_private=allow_private).status
    except FetchError as error:
        logger.info("An image origin is not deleted: %s", error)
        return False
    return 200 <= status < 300 or status in GONE
