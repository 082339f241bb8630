"""What is kept: first decided for all persons, then written in one transaction.

Events, faces, links, descriptors and samples' rows go in together, with statements for all persons at once; files are
synced meanwhile, before the commit. Whoever listens is told after it. A failure leaves nothing behind.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError, transaction

from apps.common.errors import LunaError
from apps.common.filters import Filters, accepts
from apps.events.services import events_create
from apps.events.types import EventRecord
from apps.faces.attributes import attribute_create, attribute_delete
from apps.faces.services import faces_create
from apps.faces.types import AttributeData, FaceDraft
from apps.handlers.messages import event_message
from apps.handlers.pipeline.attributes import attribute_of, basic_of
from apps.handlers.pipeline.origins import origin_bytes, sample_meta
from apps.handlers.policies.storage import FacePolicy, ImageOriginPolicy, SamplePolicy, StoragePolicy
from apps.handlers.types import Person, Sighting
from apps.imagestore import files
from apps.imagestore.addresses import object_address
from apps.imagestore.services import Bucket, NewObject, samples_storing
from apps.recognition.encoding import warp_bytes
from apps.recognition.inputs.types import MAX_ORIGIN_CHARACTERS, Picture
from apps.recognition.types import Face as RecognisedFace
from apps.recognition.types import Rect
from apps.sender.callbacks import webhook_call
from apps.sender.services import event_publish

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Everything that one request stores."""

    objects: list[NewObject] = field(default_factory=list)
    origins: dict[int, str] = field(default_factory=dict)  # id() of a picture to the URL of its stored image


def persons_store(
    *, account_id: UUID, persons: Sequence[Person], policy: StoragePolicy, shown: frozenset[str]
) -> list[Person]:
    """Keeps what the policy says and tells the websockets. Returns the persons with the ids of what was stored.

    Raises LunaError LISTS_NOT_FOUND for a list that is not there, DISK_IMAGE_SAVE_FAILED when the Image Store fails.
    """
    batch = Batch()
    attributes: list[UUID] = []
    decided = [_decided(person, policy, account_id, batch) for person in persons]
    with (
        _all_or_nothing(account_id, batch.objects, attributes),
        transaction.atomic(),
        samples_storing(items=batch.objects),
    ):
        decided = [_with_attribute(person, policy, account_id, attributes) for person in decided]
        records = [_record(person) for person in decided if _wanted(person, policy.event_policy.store_event,
                                                                    policy.event_policy.filters)]  # fmt: skip
        if records:
            events_create(account_id=account_id, records=records)
        drafts = [person.face for person in decided if person.face is not None]
        if drafts:
            faces_create(account_id=account_id, drafts=drafts)
        for person in decided:
            _tell_on_commit(account_id, person, policy, shown)
    return decided


def _wanted(person: Person, on: bool, filters: Filters) -> bool:
    return on and accepts(filters, person.draft.facts())


@contextmanager
def _all_or_nothing(account_id: UUID, objects: Sequence[NewObject], attributes: Sequence[UUID]) -> Iterator[None]:
    """Takes back what the database's rollback does not reach: files and temporary attributes."""
    try:
        yield
    except (OperationalError, InterfaceError):
        raise  # the connection broke, perhaps after the commit: rows may name the files (`fsck` removes the others)
    except BaseException:
        for item in objects:
            with suppress(OSError):
                files.remove(item.bucket, item.object_id, item.content_type)
        for attribute_id in attributes:
            with suppress(LunaError):
                attribute_delete(account_id=account_id, attribute_id=attribute_id)
        raise


def _decided(person: Person, policy: StoragePolicy, account_id: UUID, batch: Batch) -> Person:
    """The person with samples, images and face as they will be stored."""
    facts = person.draft.facts()
    with_samples = policy.face_sample_policy.store_sample and accepts(policy.face_sample_policy.filters, facts)
    with_bodies = policy.body_sample_policy.store_sample and accepts(policy.body_sample_policy.filters, facts)
    with_origins = policy.image_origin_policy.store_image and accepts(policy.image_origin_policy.filters, facts)
    sightings = []
    for sighting in person.sightings:
        if with_samples:
            sighting = _with_sample(sighting, policy.face_sample_policy, account_id, batch)
        if with_bodies:
            sighting = _with_body_sample(sighting, policy.body_sample_policy, account_id, batch)
        origin = sighting.picture.details.image_origin
        if origin is None and with_origins:
            origin = _origin(sighting.picture, policy.image_origin_policy, account_id, batch)
        sightings.append(replace(sighting, image_origin=origin))
    person = replace(person, sightings=tuple(sightings))
    face = None
    if person.has_face and policy.face_policy.store_face and accepts(policy.face_policy.filters, facts):
        face = _face(person, policy.face_policy)
    draft = replace(
        person.draft,
        face_id=None if face is None else face.face_id,
        attach_result=face.lists if face else (),
        face_detections=[
            _stored_detection(sighting, sighting.face.rect, sighting.sample_id)
            for sighting in person.sightings
            if sighting.face is not None
        ],
        body_detections=[
            _stored_detection(sighting, sighting.body.rect, sighting.body_sample_id)
            for sighting in person.sightings
            if sighting.body is not None
        ],
    )
    return replace(person, face=face, draft=draft)


def _with_sample(sighting: Sighting, policy: SamplePolicy, account_id: UUID, batch: Batch) -> Sighting:
    if sighting.picture.sample_id is not None:  # it is one already
        return replace(sighting, sample_id=sighting.picture.sample_id)
    if sighting.face is None:
        return sighting
    sample = face_sample(sighting.face, account_id, policy.ttl)
    batch.objects.append(sample)
    return replace(sighting, sample_id=sample.object_id)


def _with_body_sample(sighting: Sighting, policy: SamplePolicy, account_id: UUID, batch: Batch) -> Sighting:
    if sighting.body is None:
        return sighting
    sample = NewObject(
        account_id=account_id,
        bucket=Bucket.BODY_SAMPLES,
        data=warp_bytes(sighting.body.warp),
        content_type="image/jpeg",
        ttl_days=policy.ttl,
    )
    batch.objects.append(sample)
    return replace(sighting, body_sample_id=sample.object_id)


def face_sample(face: RecognisedFace, account_id: UUID, ttl_days: int | None = None) -> NewObject:
    """The sample of a face, to be stored."""
    return NewObject(
        account_id=account_id,
        bucket=Bucket.FACE_SAMPLES,
        data=warp_bytes(face.warp),
        content_type="image/jpeg",
        ttl_days=ttl_days,
        meta=sample_meta(face),
    )


def _origin(picture: Picture, policy: ImageOriginPolicy, account_id: UUID, batch: Batch) -> str:
    """The URL of the source image: the client's own when the policy wants it, else that of a stored copy."""
    if policy.use_external_references:
        if picture.sample_id is not None:
            return object_address(Bucket.FACE_SAMPLES, picture.sample_id)
        if picture.url is not None and len(picture.url) <= MAX_ORIGIN_CHARACTERS:
            return picture.url
    if id(picture) not in batch.origins:
        data, content_type = origin_bytes(picture.image.data, policy)
        image = NewObject(
            account_id=account_id, bucket=Bucket.IMAGES, data=data, content_type=content_type, ttl_days=policy.ttl
        )
        batch.objects.append(image)
        batch.origins[id(picture)] = object_address(Bucket.IMAGES, image.object_id)
    return batch.origins[id(picture)]


def _face(person: Person, policy: FacePolicy) -> FaceDraft:
    facts = person.draft.facts()
    attribute = _attribute(person)
    avatar = next((sighting.sample_url for sighting in person.sightings if sighting.sample_url), None)
    return FaceDraft(
        face_id=uuid4(),
        external_id=person.draft.external_id,
        user_data=person.draft.user_data,
        avatar=avatar if policy.set_sample_as_avatar else None,
        event_id=person.draft.event_id,
        lists=tuple(link.list_id for link in policy.link_to_lists_policy if accepts(link.filters, facts)),
        attribute=attribute,
    )


def _attribute(person: Person) -> AttributeData | None:
    return attribute_of(person.descriptor, basic_of(person.estimations), person.samples)


def _with_attribute(person: Person, policy: StoragePolicy, account_id: UUID, attributes: list[UUID]) -> Person:
    wanted = _wanted(person, policy.attribute_policy.store_attribute, policy.attribute_policy.filters)
    data = _attribute(person) if wanted else None
    if data is None:
        return person
    attribute = attribute_create(account_id=account_id, data=data, ttl_s=policy.attribute_policy.ttl)
    attributes.append(attribute.attribute_id)
    return replace(person, attribute_id=attribute.attribute_id)


def _record(person: Person) -> EventRecord:
    return EventRecord(person.draft, [each for each in (person.descriptor, person.body_descriptor) if each is not None])


def _stored_detection(sighting: Sighting, rect: Rect, sample_id: UUID | None) -> dict[str, object]:
    details = sighting.picture.details
    return {
        "sample_id": sample_id and str(sample_id),
        "detection": {"rect": rect.json()},
        "detect_time": details.detect_time and details.detect_time.isoformat(),
        "detect_ts": details.detect_ts,
        "image_origin": sighting.image_origin,
    }


def _tell_on_commit(account_id: UUID, person: Person, policy: StoragePolicy, shown: frozenset[str]) -> None:
    """Websockets once, however many policies want it; each webhook for itself."""
    facts = person.draft.facts()
    notification = policy.notification_policy
    callbacks = [each for each in policy.callbacks if each.enable and accepts(each.filters, facts)]
    webhooks = [each.webhook for each in callbacks if each.webhook is not None]
    sockets = _wanted(person, notification.send_notification, notification.filters) or len(webhooks) < len(callbacks)
    if not sockets and not webhooks:
        return
    message = event_message(person, shown)
    if sockets:
        transaction.on_commit(lambda: event_publish(account_id=account_id, facts=facts, message=message), robust=True)
    for webhook in webhooks:
        transaction.on_commit(partial(webhook_call, webhook=webhook, message=message), robust=True)
