"""Descriptor versions: their use by faces and events, and the deletion of their descriptors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common.config import Directories, config
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.scope import Scope
from apps.descriptors.extraction import Objects
from apps.events.models import Event, EventDescriptor
from apps.faces.models import Face, FaceDescriptor
from apps.recognition.networks.registry import Registry, State
from apps.recognition.networks.specs import Manifest

BATCH_ROWS = 1000
MODELS: Mapping[Objects, tuple[Any, Any, str]] = {
    "faces": (FaceDescriptor, Face, "face"),
    "events": (EventDescriptor, Event, "event"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionUse:
    """Descriptor version with the numbers of objects that have it. `version` is None for an unknown network."""

    number: int
    version: DescriptorVersion | None
    manifest: Manifest | None
    installed: bool
    default: bool  # default of this process
    next_default: bool  # default after a restart
    faces: int
    faces_lacking: int | None  # faces with descriptors of other versions only; None for a body version
    events: int


def versions_used() -> list[VersionUse]:
    """Return every registered or stored version in ascending order, with three index-only queries."""
    faces = _counts("faces")
    events = _counts("events")
    described = FaceDescriptor.objects.values("face_id").distinct().count()
    known = {version.version: version for version in versions.all()}
    networks = Registry(config(Directories).networks)
    return [
        _use(number, known.get(number), networks, faces.get(number, 0), events.get(number, 0), described)
        for number in sorted({*known, *faces, *events})
    ]


def _use(
    number: int, version: DescriptorVersion | None, networks: Registry, faces: int, events: int, described: int
) -> VersionUse:
    manifest = None if version is None else networks.manifests.get(version.network)
    return VersionUse(
        number=number,
        version=version,
        manifest=manifest,
        installed=manifest is not None and networks.state(manifest.name) is State.INSTALLED,
        default=is_default(number),
        next_default=manifest is not None and networks.selected(manifest.task) == manifest.name,
        faces=faces,
        faces_lacking=described - faces if version is not None and version.kind == "face" else None,
        events=events,
    )


def is_default(number: int) -> bool:
    return number in versions.defaults()


def _counts(objects: Objects) -> dict[int, int]:
    """Return the number of descriptors of each version; an object has one per version."""
    rows = MODELS[objects][0].objects.values_list("version").annotate(rows=Count("*"))
    return dict(rows)


def descriptors_of(*, objects: Objects, scope: Scope, number: int) -> QuerySet[Any]:
    """Return the descriptors of a version, unordered."""
    model, owner, name = MODELS[objects]
    rows: QuerySet[Any] = model.objects.filter(version=number)
    if scope.account_id is None:
        return rows
    return rows.filter(**{f"{name}__in": owner.objects.for_scope(scope)})


def descriptors_alone(*, objects: Objects, scope: Scope, number: int) -> QuerySet[Any]:
    """Return the descriptors of a version whose face or event has no other descriptor."""
    return descriptors_of(objects=objects, scope=scope, number=number).filter(~Exists(_others(objects, number)))


def _others(objects: Objects, number: int) -> QuerySet[Any]:
    model, _, name = MODELS[objects]
    others: QuerySet[Any] = model.objects.filter(**{name: OuterRef(name)}).exclude(version=number)
    return others


def descriptors_drop(*, objects: Objects, scope: Scope, number: int, force: bool = False) -> Iterator[int]:
    """Delete the descriptors of a version in batches; commit each batch and yield its number of deleted rows.

    `force` also deletes the only descriptor of a face or event. Writes an audit line first. Raises ValueError for a
    default version.
    """
    default_check(number)
    drop_audit(objects=objects, scope=scope, number=number)
    owners = owners_of(objects=objects, scope=scope, number=number)
    last = 0
    while keys := list(owners.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS]):
        last = keys[-1]
        yield descriptors_remove(objects=objects, number=number, keys=keys, force=force)


def default_check(number: int) -> None:
    """Raise ValueError for a default version."""
    if is_default(number):
        raise ValueError(f"descriptor version {number} is the default; select another one with `networks use` first")


def owners_of(*, objects: Objects, scope: Scope, number: int) -> QuerySet[Any]:
    """Return the faces or events of the scope that have a descriptor of the version, unordered."""
    rows: QuerySet[Any] = MODELS[objects][1].objects.for_scope(scope).filter(descriptors__version=number)
    return rows


def drop_audit(*, objects: Objects, scope: Scope, number: int, actor: Actor | None = None) -> None:
    """Write the audit line of a deletion of all descriptors of a version."""
    audit_write(
        action="delete",
        object_type=f"{objects[:-1]}_descriptor",
        object_id=f"version {number}",
        account_id=scope.account_id,
        actor=actor,
    )


@transaction.atomic
def descriptors_remove(*, objects: Objects, number: int, keys: Sequence[int], force: bool) -> int:
    """Delete the descriptors of a version of some faces or events, and return their number.

    `force` also deletes their only descriptor. Raises ValueError for a default version.
    """
    default_check(number)
    model, owner, name = MODELS[objects]
    # The lock prevents two concurrent drops from deleting both descriptors of an object.
    owners = owner.objects.unscoped().filter(pk__in=keys).order_by("id")
    list(owners.select_for_update(no_key=True).values_list("pk", flat=True))
    going = model.objects.filter(version=number, **{f"{name}_id__in": keys})
    removed, _ = (going if force else going.filter(Exists(_others(objects, number)))).delete()
    return int(removed)
