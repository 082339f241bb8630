"""Sightings of a face: the events that stored it, and those whose most similar face it is."""

from dataclasses import dataclass
from uuid import UUID

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.events.models import Event
from apps.imagestore.addresses import object_of_address
from apps.imagestore.admin import boxed, jpeg_of, upright
from apps.imagestore.services import object_bytes, object_view
from apps.matching import matcher
from apps.matching.references import references_resolve
from apps.matching.types import Block, FaceCandidates, Match, Reference

COLUMNS = (
    "event_id", "account_id", "source", "create_time", "face_id", "top_similar_object_id",
    "top_similar_object_similarity", "face_detections", "body_detections", "user_data", "track_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """An event of a face. `similarity`: None for the event that stored the face."""

    event: Event
    similarity: float | None

    @property
    def has_photograph(self) -> bool:
        """Whether the source photograph is stored here."""
        return any(_stored_origin(each) for each in self.event.face_detections)


def face_sightings(*, account_id: UUID, face_id: UUID, threshold: float, limit: int) -> list[Sighting]:
    """Return the newest events of a face with a similarity of at least `threshold`, newest first.

    Two statements, one for each index, because one with OR would read the pages of all events.
    """
    rows = Event.objects.for_account(account_id).only(*COLUMNS).order_by("-create_time", "-id")
    stored = list(rows.filter(face_id=face_id)[:limit])
    similar = list(
        rows.filter(top_similar_object_id=face_id, top_similar_object_similarity__gte=threshold)[: limit + len(stored)]
    )
    own = {event.pk for event in stored}
    found = [Sighting(event, None) for event in stored]
    found += [Sighting(event, event.top_similar_object_similarity) for event in similar if event.pk not in own]
    found.sort(key=lambda each: (each.event.create_time, each.event.pk), reverse=True)
    return found[:limit]


def faces_similar(*, account_id: UUID, face_id: UUID, limit: int) -> list[Match]:
    """Return the faces of the account that resemble a face, most similar first, without the face itself.

    Raises the errors of `references_resolve` for a face without a descriptor.
    """
    scope = Scope(account_id)
    reference = Reference("face", str(face_id))
    probes = [
        probe for _, probe in references_resolve(scope=scope, references=[reference], version=versions.default("face"))
    ]
    (matches,) = matcher.match(probes=probes, block=Block(FaceCandidates(scope=scope), limit=limit + 1))
    return [match for match in matches if match.object_id != face_id][:limit]


def sighting_photograph(*, scope: Scope, event_id: UUID, actor: Actor) -> bytes:
    """Return the source photograph of an event as a small upright JPEG with boxes.

    The boxes of the event's faces are drawn. Writes an audit line. Raises LunaError EVENT_NOT_FOUND, IMAGE_NOT_FOUND
    without a stored photograph, BAD_IMAGE for one that is damaged.
    """
    event = Event.objects.for_scope(scope).filter(event_id=event_id).only(*COLUMNS).first()
    if event is None:
        raise LunaError(errors.EVENT_NOT_FOUND, event_id)
    origin = next((found for each in event.face_detections if (found := _stored_origin(each))), None)
    if origin is None:
        raise LunaError(errors.IMAGE_NOT_FOUND, event_id)
    bucket, object_id = origin
    stored = object_view(scope=Scope(event.account_id), bucket=bucket, object_id=object_id, actor=actor)
    rects = [each["detection"]["rect"] for each in event.face_detections if _stored_origin(each) == origin]
    boxes = [(rect["x"], rect["y"], rect["width"], rect["height"]) for rect in rects]
    try:
        return jpeg_of(boxed(upright(object_bytes(stored=stored)), boxes))
    except OSError as error:
        raise LunaError(errors.BAD_IMAGE) from error


def _stored_origin(detection: dict[str, object]) -> tuple[str, UUID] | None:
    """Return bucket and id of the source photograph of a detection, None for one that is elsewhere or not stored."""
    return object_of_address(str(detection.get("image_origin") or ""))
