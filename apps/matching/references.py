"""Resolution of a request's references to probes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.common import errors
from apps.common.config import PlatformLimits, config
from apps.common.descriptors import DescriptorVersion, Kind, Vector
from apps.common.errors import LunaError
from apps.common.parts import EVENTS, part_check
from apps.common.scope import Scope
from apps.events.selectors import event_vectors
from apps.faces.attribute_input import descriptors_parse
from apps.faces.attributes import attributes_get
from apps.faces.selectors import face_vectors
from apps.matching.types import Probe, Reference

NOT_FOUND: Mapping[str, int] = {
    "face": errors.FACE_NOT_FOUND,
    "face_external_id": errors.FACE_EXTERNAL_ID_NOT_FOUND,
    "event": errors.EVENT_NOT_FOUND,
    "event_external_id": errors.EVENT_EXTERNAL_ID_NOT_FOUND,
    "event_track_id": errors.EVENT_TRACK_ID_NOT_FOUND,
    "attribute": errors.ATTRIBUTE_NOT_FOUND,
}
"""Types of references to stored objects, with the error of a missing object."""


@dataclass(frozen=True, slots=True, eq=False)
class _Object:
    """Stored object of a reference. `described`: it has a descriptor of the searched kind, in any version."""

    kind: str
    id: UUID
    described: bool
    vector: Vector | None
    attributed: bool = True  # False for a face without any attribute


Key = tuple[str, str]  # type of a reference and its id


@dataclass(frozen=True, slots=True)
class CountLimit:
    """Largest number of references, and the error of a larger number: a function of the number and the limit."""

    most: int
    error: Callable[[int, int], LunaError]

    def check(self, count: int) -> None:
        """Raises the error if there are more references."""
        if count > self.most:
            raise self.error(count, self.most)


def reference_limit() -> CountLimit:
    """Return the limit of requests: LunaError TOO_MANY_REFERENCES above `reference_limit`."""
    return CountLimit(
        config(PlatformLimits).match.reference_limit, lambda _, most: LunaError(errors.TOO_MANY_REFERENCES, most)
    )


def references_resolve(
    *, scope: Scope, references: Sequence[Reference], version: DescriptorVersion, limit: CountLimit | None = None
) -> list[tuple[Reference, Probe]]:
    """Return each reference with its probe.

    A reference to several objects (an external id, a track, an XPK file) is repeated for each. At most one query reads
    faces, one reads events, and one request reads Redis.

    Raises the error of `limit` (default: `reference_limit()`) for more probes; LunaError EVENTS_DISABLED for events
    while they are off; FACE_NOT_FOUND, FACE_EXTERNAL_ID_NOT_FOUND, EVENT_NOT_FOUND, EVENT_EXTERNAL_ID_NOT_FOUND,
    EVENT_TRACK_ID_NOT_FOUND or ATTRIBUTE_NOT_FOUND for a missing object, EVENTS_NOT_FOUND for several events;
    FACE_WITHOUT_ATTRIBUTES for a face without attributes; BODY_DESCRIPTOR_NOT_FOUND for an event without a descriptor
    of a body `version`; for a face `version` DESCRIPTOR_VERSION_NOT_FOUND for an object without a descriptor of it,
    DESCRIPTOR_NOT_EXTRACTED for one without any; DESCRIPTOR_VERSION_MISMATCH for a descriptor of another version; the
    errors of `descriptors_parse`.
    """
    limit = limit or reference_limit()
    limit.check(len(references))
    objects: dict[Key, list[_Object]] = defaultdict(list)
    for key, found in _stored(scope, references, version, limit):
        objects[key].append(found)
    events = dict.fromkeys(each.id for each in references if each.type == "event" and not objects[each.type, each.id])
    if len(events) > 1:
        raise LunaError(errors.EVENTS_NOT_FOUND, next(iter(events)))
    probes = [
        (reference, probe)
        for reference in references
        for probe in (
            _stored_probes(reference, objects[reference.type, reference.id], version)
            if reference.type in NOT_FOUND
            else _descriptor_probes(reference, version)
        )
    ]
    limit.check(len(probes))
    return probes


def _stored(
    scope: Scope, references: Iterable[Reference], version: DescriptorVersion, limit: CountLimit
) -> Iterator[tuple[Key, _Object]]:
    ids: dict[str, list[str]] = defaultdict(list)
    for reference in references:
        ids[reference.type].append(reference.id)
    if ids["face"] or ids["face_external_id"]:
        faces = face_vectors(
            scope=scope,
            version=version.version,
            any_of={"face_ids": [UUID(text) for text in ids["face"]], "external_ids": ids["face_external_id"]},
            limit=limit.most + 1,
        )
        limit.check(len(faces))
        for face in faces:
            found = _Object("face", face.face_id, face.described, face.vector, face.attributed)
            yield ("face", str(face.face_id)), found
            yield ("face_external_id", face.external_id), found
    if ids["event"] or ids["event_external_id"] or ids["event_track_id"]:
        part_check(EVENTS)
        events = event_vectors(
            scope=scope,
            version=version,
            event_ids=[UUID(text) for text in ids["event"]],
            external_ids=ids["event_external_id"],
            track_ids=ids["event_track_id"],
            limit=limit.most + 1,
        )
        limit.check(len(events))
        for event in events:
            found = _Object("event", event.event_id, event.described, event.vector)
            yield ("event", str(event.event_id)), found
            yield ("event_external_id", event.external_id), found
            yield ("event_track_id", event.track_id or ""), found
    for attribute in attributes_get(
        scope=scope, attribute_ids=[UUID(text) for text in dict.fromkeys(ids["attribute"])]
    ):
        data = attribute.data.descriptor(version.version)
        vector = None if data is None else data.vector
        found = _Object("attribute", attribute.attribute_id, bool(attribute.data.descriptors), vector)
        yield ("attribute", str(attribute.attribute_id)), found


def _stored_probes(reference: Reference, objects: Sequence[_Object], version: DescriptorVersion) -> Iterator[Probe]:
    if not objects:
        raise LunaError(NOT_FOUND[reference.type], reference.id)
    for found in objects:
        if not found.attributed:
            raise LunaError(errors.FACE_WITHOUT_ATTRIBUTES, found.id)
        if found.vector is None and version.kind == "body":
            raise LunaError(errors.BODY_DESCRIPTOR_NOT_FOUND, version.version, found.id)
        if not found.described:
            raise LunaError(errors.DESCRIPTOR_NOT_EXTRACTED, found.kind, found.id)
        if found.vector is None:
            raise LunaError(errors.DESCRIPTOR_VERSION_NOT_FOUND, version.version, found.id)
        yield Probe(reference.id, reference.type, version.version, found.vector, found.id)


def _descriptor_probes(reference: Reference, version: DescriptorVersion) -> Iterator[Probe]:
    for probe in descriptors_read(reference, kind=version.kind):
        if probe.version != version.version:
            raise LunaError(errors.DESCRIPTOR_VERSION_MISMATCH, probe.version, version.version)
        yield probe


def descriptors_read(reference: Reference, *, kind: Kind = "face") -> list[Probe]:
    """Return the descriptors of a request in any version: one, or those of an XPK file.

    A raw descriptor without `version` has the default version of `kind`. Raises the errors of `descriptors_parse`.
    """
    parsed = descriptors_parse(
        {"type": reference.type, "data": reference.data, "version": reference.version}, kind=kind
    )
    return [Probe(reference.id, reference.type, each.version, each.vector) for each in parsed]


def descriptors_probes(references: Sequence[Reference], limit: CountLimit) -> list[Probe]:
    """Return all descriptors of a request in order. Raises the errors of `limit` and of `descriptors_read`."""
    limit.check(len(references))
    probes = [probe for each in references for probe in descriptors_read(each)]
    limit.check(len(probes))
    return probes
