"""People among faces: a person is the faces with one external id.

Merging gives faces one external id and one name, and attaches them to the lists of each other; splitting gives some of
them another external id. No face, descriptor or link is lost, and the last change can be undone. Operators decide about
the state that their page shows: a face that has changed since is not changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.errors import LunaError
from apps.faces.links import faces_lock
from apps.faces.models import Face, List, ListFace
from apps.faces.services import face_update, list_attach_faces, list_detach_faces
from apps.workbench.errors import WorkbenchError
from apps.workbench.texts import checked_external_id, checked_name

MAX_FACES = 100  # of one decision
Seen = Mapping[UUID, str]
"""States of faces that an operator saw: `state_of` by face id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A face before a change, and its state after it. `joined`: the lists that the change attached it to."""

    face_id: UUID
    user_data: str
    external_id: str
    state: str
    joined: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of faces that can be undone."""

    account_id: UUID
    external_id: str
    faces: tuple[Before, ...] = field(default_factory=tuple)

    def json(self) -> dict[str, Any]:
        return {
            "account": str(self.account_id),
            "external_id": self.external_id,
            "faces": [
                [str(each.face_id), each.user_data, each.external_id, each.state, [str(key) for key in each.joined]]
                for each in self.faces
            ],
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "Change":
        faces = tuple(
            Before(
                face_id=UUID(face_id),
                user_data=user_data,
                external_id=external_id,
                state=state,
                joined=tuple(map(UUID, joined)),
            )
            for face_id, user_data, external_id, state, joined in stored["faces"]
        )
        return cls(account_id=UUID(stored["account"]), external_id=stored["external_id"], faces=faces)


def state_of(last_update_time: datetime) -> str:
    """Return the state of a face by the time of its last change."""
    return last_update_time.isoformat()


def person_faces(*, account_id: UUID, faces: Iterable[Face]) -> list[Face]:
    """Return the faces and all others with their external ids, oldest first, with their accounts and attributes.

    Raises WorkbenchError for more than `MAX_FACES`.
    """
    faces = list(faces)
    external_ids = {face.external_id for face in faces if face.external_id}
    rows = Face.objects.for_account(account_id)
    found = rows.filter(pk__in=[face.pk for face in faces]) | rows.filter(external_id__in=external_ids)
    people = list(found.select_related("account", "attribute").order_by("pk")[: MAX_FACES + 1])
    if len(people) > MAX_FACES:
        raise WorkbenchError(_("More than %d faces belong to these people. Choose fewer.") % MAX_FACES)
    return people


@transaction.atomic
def faces_merge(*, account_id: UUID, seen: Seen, name: str, external_id: str, actor: Actor) -> Change:
    """Make faces those of one person. An empty `external_id` means a new one.

    Raises WorkbenchError for fewer than two faces, for faces that have changed since, and for bad texts.
    """
    name, external_id = checked_name(name), checked_external_id(external_id) or str(uuid4())
    if len(seen) < 2:
        raise WorkbenchError(_("Choose two faces or more."))
    faces = _unchanged(account_id, seen)
    links = ListFace.objects.filter(face__in=faces).values_list("face_id", "list__list_id")
    lists_of: dict[int, set[UUID]] = {face.pk: set() for face in faces}
    for key, list_id in links:
        lists_of[key].add(list_id)
    joined = {face.face_id: set().union(*lists_of.values()) - lists_of[face.pk] for face in faces}
    for face in faces:
        changes = {"user_data": name, "external_id": external_id}
        face_update(account_id=account_id, face_id=face.face_id, changes=changes, actor=actor)
    _attach(account_id, joined)
    return _changed(account_id, external_id, faces, joined)


@transaction.atomic
def faces_split(*, account_id: UUID, seen: Seen, name: str, actor: Actor) -> Change:
    """Make faces those of another person, with a new external id. An empty `name` keeps the name of each.

    Raises WorkbenchError without faces, for faces that have changed since, and for a bad name.
    """
    name, external_id = checked_name(name), str(uuid4())
    if not seen:
        raise WorkbenchError(_("Choose the faces of the other person."))
    faces = _unchanged(account_id, seen)
    for face in faces:
        changes = {"external_id": external_id, **({"user_data": name} if name else {})}
        face_update(account_id=account_id, face_id=face.face_id, changes=changes, actor=actor)
    return _changed(account_id, external_id, faces, {})


@transaction.atomic
def change_undo(*, change: Change, actor: Actor) -> None:
    """Undo a merge or split. Raises WorkbenchError if one of its faces has changed since, or is deleted."""
    _unchanged(change.account_id, {each.face_id: each.state for each in change.faces})
    for each in change.faces:
        changes = {"user_data": each.user_data, "external_id": each.external_id}
        face_update(account_id=change.account_id, face_id=each.face_id, changes=changes, actor=actor)
    left = {list_id: [face.face_id for face in change.faces if list_id in face.joined] for list_id in _joined(change)}
    for list_id in _in_order(change.account_id, left):  # a list that is deleted since has no members
        list_detach_faces(account_id=change.account_id, list_id=list_id, face_ids=left[list_id])


def _joined(change: Change) -> set[UUID]:
    return {list_id for face in change.faces for list_id in face.joined}


@transaction.atomic
def face_edit(
    *,
    account_id: UUID,
    face_id: UUID,
    state: str,
    name: str,
    external_id: str,
    join: Iterable[UUID] = (),
    leave: Iterable[UUID] = (),
    actor: Actor,
) -> None:
    """Change name, external id and lists of a face.

    Raises WorkbenchError for a face that has changed since and for bad texts, LunaError LIST_NOT_FOUND.
    """
    changes = {"user_data": checked_name(name), "external_id": checked_external_id(external_id)}
    (face,) = _unchanged(account_id, {face_id: state})
    if changes != {"user_data": face.user_data, "external_id": face.external_id}:
        face_update(account_id=account_id, face_id=face_id, changes=changes, actor=actor)
    faces_move(account_id=account_id, face_ids=[face_id], join=join, leave=leave)


@transaction.atomic
def faces_move(
    *, account_id: UUID, face_ids: Sequence[UUID], join: Iterable[UUID] = (), leave: Iterable[UUID] = ()
) -> None:
    """Attach faces to the lists `join`, and detach them from the lists `leave`.

    Raises LunaError LIST_NOT_FOUND and FACES_NOT_FOUND; then nothing changes.
    """
    join, leave = set(join), set(leave)
    if both := join & leave:
        join, leave = join - both, leave - both
    known = _in_order(account_id, {*join, *leave})
    if missing := (join | leave) - {*known}:
        raise LunaError(errors.LIST_NOT_FOUND, min(missing))
    for list_id in known:
        move = list_attach_faces if list_id in join else list_detach_faces
        move(account_id=account_id, list_id=list_id, face_ids=face_ids)


def _attach(account_id: UUID, joined: Mapping[UUID, set[UUID]]) -> None:
    """Attach each face to its lists; the lists are locked in key order."""
    for list_id in _in_order(account_id, {each for lists in joined.values() for each in lists}):
        face_ids = [face_id for face_id, lists in joined.items() if list_id in lists]
        list_attach_faces(account_id=account_id, list_id=list_id, face_ids=face_ids)


def _in_order(account_id: UUID, list_ids: Iterable[UUID]) -> list[UUID]:
    """Return the existing ones of lists, in key order."""
    rows = List.objects.for_account(account_id).filter(list_id__in=list(list_ids)).order_by("pk")
    return list(rows.values_list("list_id", flat=True))


def _unchanged(account_id: UUID, seen: Seen) -> list[Face]:
    """Lock faces and return them in key order. Raises WorkbenchError if one has changed since `seen`, or is deleted."""
    if len(seen) > MAX_FACES:
        raise WorkbenchError(_("Choose at most %d faces.") % MAX_FACES)
    try:
        faces = faces_lock(account_id=account_id, face_ids=seen)
    except LunaError as error:
        raise WorkbenchError(
            _("A face was deleted since the page was loaded. Nothing was changed. Load the page again.")
        ) from error
    for face in faces:
        if state_of(face.last_update_time) != seen[face.face_id]:
            raise WorkbenchError(
                _("Somebody else changed the face “%s” since the page was loaded. Nothing was changed. "
                  "Load the page again, and decide about its new state.") % face
            )  # fmt: skip
    return faces


def _changed(
    account_id: UUID, external_id: str, before: Iterable[Face], joined: Mapping[UUID, Iterable[UUID]]
) -> Change:
    before = list(before)
    rows = Face.objects.for_account(account_id).filter(pk__in=[face.pk for face in before])
    states = dict(rows.values_list("face_id", "last_update_time"))
    return Change(
        account_id=account_id,
        external_id=external_id,
        faces=tuple(
            Before(
                face_id=face.face_id,
                user_data=face.user_data,
                external_id=face.external_id,
                state=state_of(states[face.face_id]),
                joined=tuple(joined.get(face.face_id, ())),
            )
            for face in before
        ),
    )
