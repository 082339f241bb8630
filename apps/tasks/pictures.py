"""Pictures of faces and events for archives, read from the Image Store or downloaded."""

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fetch import FetchError, RefusedError
from apps.common.fields import parse_uuid
from apps.common.scope import Scope
from apps.imagestore.choices import Bucket
from apps.imagestore.image_headers import FORMATS, SYNONYMS
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import objects_get
from apps.imagestore.services import object_bytes, objects_audit
from apps.recognition.inputs.sources import is_picture, own_object, picture_fetch
from apps.tasks.filters import ObjectsType
from apps.tasks.types.base import TaskRun

logger = logging.getLogger(__name__)

THREADS = 8  # pictures that are read at a time; as many are in memory
ATTEMPTS = 3  # of a download
HOST_FAILURES = 5  # pictures in a row whose downloads failed, after which a host is not asked any more
WAIT_S = 0.1
_SAMPLE = "jsonb_path_query_first(events_event.{}, '$[*].sample_id ? (@ != null)') #>> '{{}}'"
_SUFFIXES = {kind: name.lower() for name, kind in FORMATS.items()} | {
    synonym: name.lower() for synonym, kind in SYNONYMS.items() for name, known in FORMATS.items() if known == kind
}


@dataclass(frozen=True, slots=True)
class Source:
    """The picture of an object: a stored one of its account, or a URL."""

    object_id: UUID
    account_id: UUID
    stored: tuple[str, UUID] | None = None  # bucket and id
    url: str = ""


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """An encoded picture, and the name of its file: the object's id with a suffix."""

    name: str
    data: bytes


def picture_sources(objects_type: ObjectsType, objects: "QuerySet[Any]", *, body_first: bool = False) -> list[Source]:
    """Return the pictures of objects that have one, ordered by key, with one statement.

    The picture of a face is its avatar, else the first sample of its attribute. That of an event is its first face
    sample, else its first body sample; with `body_first` the other way round.
    """
    found = _of_faces(objects) if objects_type == "faces" else _of_events(objects, body_first)
    return [each for each in found if each.stored is not None or each.url]


def _of_faces(faces: "QuerySet[Any]") -> Iterator[Source]:
    samples = ("attribute__descriptor_samples", "attribute__basic_attributes_samples")
    for face_id, account_id, avatar, *found in faces.order_by("pk").values_list(
        "face_id", "account_id", "avatar", *samples
    ):
        if avatar:
            own = own_object(avatar)
            yield Source(face_id, account_id, own, "" if own else avatar)
        else:
            sample = next((sample for each in found for sample in each or ()), None)
            yield Source(face_id, account_id, None if sample is None else (Bucket.FACE_SAMPLES, sample))


def _of_events(events: "QuerySet[Any]", body_first: bool) -> Iterator[Source]:
    samples = [RawSQL(_SAMPLE.format(name), ()) for name in ("face_detections", "body_detections")]  # noqa: S611
    for event_id, account_id, face, body in events.order_by("pk").values_list("event_id", "account_id", *samples):
        found = [(Bucket.FACE_SAMPLES.value, parse_uuid(face)), (Bucket.BODY_SAMPLES.value, parse_uuid(body))]
        stored = [(bucket, sample) for bucket, sample in found if sample is not None]
        yield Source(event_id, account_id, stored[-1 if body_first else 0] if stored else None)


class Pictures:
    """Reads pictures for a stage, a few at a time, in order.

    A picture that cannot be read is an error of the task: EXPORTER_DOWNLOAD_FAILED, or EXPORTER_DOWNLOAD_RETRIES_FAILED
    if repeated downloads failed. At the end of the stage, each stored picture leaves an audit line.
    """

    def __init__(self, run: TaskRun, pool: ThreadPoolExecutor) -> None:
        self._run = run
        self._pool = pool
        self._failures: Counter[str] = Counter()  # by host, in a row

    def read(self, sources: Sequence[Source]) -> Iterator[NamedPicture]:
        """Yield the pictures of a page of sources that can be read."""
        rows = _stored(sources)
        self._run.at_end(partial(objects_audit, action="view", rows=[*rows.values()], actor=self._run.actor))
        waiting: deque[tuple[Source, Future[NamedPicture]]] = deque()
        for source in sources:
            waiting.append((source, self._pool.submit(self._load, source, rows)))
            if len(waiting) == THREADS:
                yield from self._result(*waiting.popleft())
        while waiting:
            yield from self._result(*waiting.popleft())

    def _result(self, source: Source, future: "Future[NamedPicture]") -> Iterator[NamedPicture]:
        while True:
            self._run.check()
            try:
                yield future.result(WAIT_S)
            except NotYetError:
                continue
            except LunaError as error:
                self._run.error(error, info=str(source.object_id))
            return

    def _load(self, source: Source, rows: Mapping[tuple[str, UUID], StoredObject]) -> NamedPicture:
        if source.stored is None:
            return self._download(source)
        row = rows.get(source.stored)
        if row is None or row.account_id != source.account_id:
            raise LunaError(errors.EXPORTER_DOWNLOAD_FAILED, f"the picture of {source.object_id} does not exist")
        return NamedPicture(_name(source, row.content_type), object_bytes(stored=row))

    def _download(self, source: Source) -> NamedPicture:
        host = urlsplit(source.url).netloc
        for _ in range(ATTEMPTS if self._failures[host] < HOST_FAILURES else 0):
            try:
                answer = picture_fetch(source.url)
            except RefusedError as error:
                logger.info("Download of an avatar is refused: %s", error)
                raise LunaError(
                    errors.EXPORTER_DOWNLOAD_FAILED, f"the address of the picture of {source.object_id} is not allowed"
                ) from error
            except FetchError as error:
                logger.info("Download of an avatar failed: %s", error)
                continue
            self._failures[host] = 0
            if not is_picture(answer):
                raise LunaError(
                    errors.EXPORTER_DOWNLOAD_FAILED, f"the address of {source.object_id} answers with no picture"
                )
            return NamedPicture(_name(source, answer.content_type), answer.data)
        self._failures[host] += 1
        raise LunaError(errors.EXPORTER_DOWNLOAD_RETRIES_FAILED, f"the picture of {source.object_id}")


@contextmanager
def pictures_of(run: TaskRun) -> Iterator[Pictures]:
    """Open a reader of pictures. Downloads that are on their way when the stage ends finish within their time limit."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="pictures")
    try:
        yield Pictures(run, pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _stored(sources: Iterable[Source]) -> dict[tuple[str, UUID], StoredObject]:
    """Return the rows of the stored pictures of a page."""
    wanted: dict[tuple[UUID, str], list[UUID]] = {}
    for each in sources:
        if each.stored is not None:
            bucket, object_id = each.stored
            wanted.setdefault((each.account_id, bucket), []).append(object_id)
    return {
        (bucket, object_id): row
        for (account_id, bucket), ids in wanted.items()
        for object_id, row in objects_get(scope=Scope(account_id), bucket=bucket, object_ids=ids).items()
    }


def _name(source: Source, content_type: str) -> str:
    suffix = _SUFFIXES.get(content_type, "bin").replace("jpeg", "jpg")
    return f"{source.object_id}.{suffix}"
