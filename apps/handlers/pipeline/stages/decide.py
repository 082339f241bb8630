"""Stage `decide`: evaluate storage_policy for each event. It writes nothing."""

from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from apps.common.filters import accepts
from apps.common.parts import IMAGE_STORE, SENDER, part_is_on
from apps.faces.config import max_ttl_s
from apps.faces.types import AttributeData, FaceDraft
from apps.handlers.pipeline.attributes import attribute_of, basic_of
from apps.handlers.pipeline.origins import origin_bytes, sample_meta
from apps.handlers.pipeline.run import Run
from apps.handlers.policies.storage import FacePolicy, ImageOriginPolicy, SamplePolicy, StoragePolicy
from apps.handlers.types import Decision, EventPerson, GeneratedEvent
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.imagestore.types import NewObject
from apps.recognition.encoding import warp_bytes
from apps.recognition.inputs.types import MAX_ORIGIN_CHARACTERS
from apps.recognition.types import Image, ImageType


def decide(run: Run) -> Run:
    """Add samples, source images, face and decision to each event by the filters of storage_policy.

    Fills `objects` of the run: samples and source images to store.
    """
    objects = Objects(run.account_id)
    events = tuple(decided(event, run.policies.storage_policy, objects) for event in run.events)
    return replace(run, events=events, objects=tuple(objects.new))


@dataclass(slots=True)
class Objects:
    """Objects to store. A source image of several persons is stored once."""

    account_id: UUID
    new: list[NewObject] = field(default_factory=list)
    origins: dict[int, str] = field(default_factory=dict)  # address of the stored source image by id() of its picture

    def add_sample(self, bucket: Bucket, warp: Image, ttl_days: int | None, meta: dict[str, object]) -> UUID:
        return self._add(bucket, warp_bytes(warp), "image/jpeg", ttl_days, meta)

    def origin(self, person: EventPerson, policy: ImageOriginPolicy) -> str:
        """Return the address of the source image: an existing one if the policy prefers it, else of a stored copy.

        The existing address is that of the stored sample for a warp, else the client's.
        """
        picture = person.picture
        if policy.use_external_references:
            if picture.image.image_type is not ImageType.RAW and (
                sample := person.sample_url or person.body_sample_url
            ):
                return sample
            if picture.url is not None and len(picture.url) <= MAX_ORIGIN_CHARACTERS:
                return picture.url
        if id(picture) not in self.origins:
            image_id = self._add(Bucket.IMAGES, *origin_bytes(picture.image.data, policy), policy.ttl, {})
            self.origins[id(picture)] = object_address(Bucket.IMAGES, image_id)
        return self.origins[id(picture)]

    def _add(
        self, bucket: Bucket, data: bytes, content_type: str, ttl_days: int | None, meta: dict[str, object]
    ) -> UUID:
        item = NewObject(
            account_id=self.account_id,
            bucket=bucket,
            data=data,
            content_type=content_type,
            ttl_days=ttl_days,
            meta=meta,
        )
        self.new.append(item)
        return item.object_id


def decided(event: GeneratedEvent, policy: StoragePolicy, objects: Objects) -> GeneratedEvent:
    """Return the event with its decision; its samples and source images are added to `objects`."""
    facts = event.draft.facts()
    faces, bodies, origins = policy.face_sample_policy, policy.body_sample_policy, policy.image_origin_policy
    stores = part_is_on(IMAGE_STORE)
    with_samples = stores and faces.store_sample and accepts(faces.filters, facts)
    with_body_samples = stores and bodies.store_sample and accepts(bodies.filters, facts)
    with_origins = origins.store_image and accepts(origins.filters, facts)
    persons = []
    for person in event.persons:
        if with_samples:
            person = _with_sample(person, faces, objects)
        if with_body_samples:
            person = _with_body_sample(person, bodies, objects)
        origin = person.picture.details.image_origin
        if origin is None and with_origins:
            origin = objects.origin(person, origins)
        persons.append(replace(person, image_origin=origin))
    event = replace(event, persons=tuple(persons))
    if event.has_face and policy.face_policy.store_face and accepts(policy.face_policy.filters, facts):
        face = _face(event, policy.face_policy)
        draft = replace(event.draft, face_id=face.face_id, attach_result=face.lists)
        event = replace(event, face=face, draft=draft)
    return replace(event, decision=_decision(event, policy))


def _with_sample(person: EventPerson, policy: SamplePolicy, objects: Objects) -> EventPerson:
    if person.picture.sample_id is not None:  # the picture is a stored sample
        return replace(person, sample_id=person.picture.sample_id)
    if person.face is None:
        return person
    face = person.face
    sample_id = objects.add_sample(Bucket.FACE_SAMPLES, face.warp, policy.ttl, sample_meta(face))
    return replace(person, sample_id=sample_id)


def _with_body_sample(person: EventPerson, policy: SamplePolicy, objects: Objects) -> EventPerson:
    if person.body is None:
        return person
    return replace(
        person, body_sample_id=objects.add_sample(Bucket.BODY_SAMPLES, person.body.warp, policy.ttl, {})
    )  # fmt: skip


def _face(event: GeneratedEvent, policy: FacePolicy) -> FaceDraft:
    facts = event.draft.facts()
    avatar = next((person.sample_url for person in event.persons if person.sample_url), None)
    return FaceDraft(
        face_id=uuid4(),
        external_id=event.draft.external_id,
        user_data=event.draft.user_data,
        avatar=avatar if policy.set_sample_as_avatar else None,
        event_id=event.draft.event_id,
        lists=tuple(link.list_id for link in policy.link_to_lists_policy if accepts(link.filters, facts)),
        attribute=_attribute(event),
    )


def _attribute(event: GeneratedEvent) -> AttributeData | None:
    return attribute_of(event.descriptor, basic_of(event.estimations), event.samples)


def _decision(event: GeneratedEvent, policy: StoragePolicy) -> Decision:
    """Return the decision of an event: at most one notification to websockets, and one callback per target."""
    facts = event.draft.facts()
    of_event, of_attribute, of_notification = policy.event_policy, policy.attribute_policy, policy.notification_policy
    callbacks = [each for each in policy.callbacks if each.enable and accepts(each.filters, facts)]
    targets = tuple(each.target for each in callbacks if each.target is not None)
    notified = of_notification.send_notification and accepts(of_notification.filters, facts)
    sender = part_is_on(SENDER)
    return Decision(
        store_event=of_event.store_event and accepts(of_event.filters, facts),
        wait_saving=of_event.wait_saving,
        attribute=(
            _attribute(event) if of_attribute.store_attribute and accepts(of_attribute.filters, facts) else None
        ),
        attribute_ttl_s=None if of_attribute.ttl is None else min(of_attribute.ttl, max_ttl_s()),
        websockets=sender and (notified or len(targets) < len(callbacks)),
        callbacks=targets,
    )
