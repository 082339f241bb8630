"""Writes of faces and lists."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from apps.accounts.audit import audit_owned, audit_write
from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.addresses import API
from apps.common.errors import LunaError
from apps.common.integrity import is_taken
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.faces.attributes import attribute_check
from apps.faces.inserts import BATCH, attribute_row, faces_insert, faces_link
from apps.faces.links import batches, faces_lock, faces_lock_of_lists, link, lists_lock, unlink, unlink_everywhere
from apps.faces.models import Face, FaceAttribute, FaceDescriptor, List, ListDeletion, ListFace
from apps.faces.selectors import face_attribute_get
from apps.faces.types import AttributeData, FaceDraft
from apps.licenses.services import faces_allow

MAX_AVATAR_CHARACTERS = 256
DRAFT_COLUMNS = tuple(
    name for name in FaceDraft.__dataclass_fields__ if name in {field.name for field in Face._meta.concrete_fields}
)


def face_create(*, account_id: UUID, draft: FaceDraft) -> Face:
    """Create a face, its attribute and its links in one transaction.

    Raises LunaError LISTS_NOT_FOUND for an unknown list, BAD_AVATAR_URL for an avatar that is not a URL,
    ATTRIBUTE_IN_USE for a temporary attribute of another face, EMPTY_ATTRIBUTE, SAMPLES_WITHOUT_ATTRIBUTE or
    DUPLICATE_DESCRIPTOR_VERSIONS for an invalid attribute, and the errors of `faces_allow`. An error aborts the
    caller's transaction.
    """
    return faces_create(account_id=account_id, drafts=[draft])[0]


def faces_create(*, account_id: UUID, drafts: Sequence[FaceDraft]) -> list[Face]:
    """Create several faces, all or none, with as many statements as one. Raises the errors of `face_create`."""
    faces_allow(sum(draft.attribute is not None for draft in drafts))
    for draft in drafts:
        avatar_check(draft.avatar)
        if draft.attribute is not None:
            attribute_check(draft.attribute)
    if not drafts:
        return []
    now = utc_now()
    times = {"create_time": now, "last_update_time": now}
    faces = [Face(account_id=account_id, **{**times, **_columns(draft)}) for draft in drafts]
    members: dict[UUID, list[Face]] = {}
    for face, draft in zip(faces, drafts, strict=True):
        for list_id in dict.fromkeys(draft.lists):
            members.setdefault(list_id, []).append(face)
    # Without lists it is a single statement, which needs no transaction; this saves two round trips.
    alone = not members and len(faces) <= BATCH and connection.get_autocommit()
    with nullcontext() if alone else transaction.atomic():
        try:
            faces_insert(faces, drafts)
        except IntegrityError as error:
            if not is_taken(error):
                raise
            raise LunaError(errors.ATTRIBUTE_IN_USE) from error
        if members:
            faces_link(account_id, members)
    return faces


def _columns(draft: FaceDraft) -> dict[str, Any]:
    """Return the columns of a draft; the model has defaults for all others."""
    return {name: value for name in DRAFT_COLUMNS if (value := getattr(draft, name)) is not None}


@transaction.atomic
def face_update(*, account_id: UUID, face_id: UUID, changes: Mapping[str, Any], actor: Actor | None = None) -> None:
    """Update columns of a face by name. Raises LunaError FACE_NOT_FOUND, BAD_AVATAR_URL."""
    values = dict(changes)
    if "avatar" in values:
        avatar_check(values["avatar"])
        values["avatar"] = values["avatar"] or ""
    rows = Face.objects.for_account(account_id).filter(face_id=face_id)
    if not rows.update(**values, last_update_time=utc_now()):
        raise LunaError(errors.FACE_NOT_FOUND, face_id)
    audit_write(action="update", object_type="face", object_id=face_id, account_id=account_id, actor=actor)


def face_delete(*, account_id: UUID, face_id: UUID, actor: Actor | None = None) -> None:
    """Delete a face. Raises LunaError FACE_NOT_FOUND."""
    try:
        faces_delete(account_id=account_id, face_ids=[face_id], actor=actor)
    except LunaError as error:
        raise (LunaError(errors.FACE_NOT_FOUND, face_id) if error.code == errors.FACES_NOT_FOUND else error) from error


def faces_delete(
    *, account_id: UUID, face_ids: Sequence[UUID], actor: Actor | None = None, action: str = "delete"
) -> None:
    """Delete faces with attributes, descriptors and links, and write an audit line of `action` for each.

    Raises LunaError FACES_NOT_FOUND for a missing face; then none is deleted.
    """
    with transaction.atomic():
        faces = faces_lock(account_id=account_id, face_ids=face_ids, for_delete=True)
        ids = [face.face_id for face in faces]
        audit_write(action=action, object_type="face", object_ids=ids, account_id=account_id, actor=actor)
        _faces_delete([face.pk for face in faces])


def faces_delete_passing(*, faces: "QuerySet[Face]", keys: Sequence[int], actor: Actor | None = None) -> list[Face]:
    """Delete those of `keys` that are in `faces`, a query with filters, and return them with their attributes.

    The filters are checked under the lock of the faces: a face that has left a list meanwhile is kept. Writes an audit
    line for each face.
    """
    with transaction.atomic():
        locked = list(Face.objects.unscoped().filter(pk__in=keys).order_by("id").select_for_update().values_list("pk"))
        found = list(faces.filter(pk__in=[pk for (pk,) in locked]).select_related("attribute").order_by("pk"))
        owners = {face.face_id: face.account_id for face in found}
        audit_owned(action="delete", object_type="face", owners=owners, actor=actor)
        _faces_delete([face.pk for face in found])
    return found


def _faces_delete(keys: Sequence[int]) -> None:
    for batch in batches(keys):
        unlink_everywhere(batch)
        Face.objects.unscoped().filter(pk__in=batch).delete()


def face_attribute_set(
    *,
    account_id: UUID,
    face_id: UUID,
    attribute: AttributeData,
    attribute_id: UUID | None = None,
    actor: Actor | None = None,
) -> None:
    """Replace the attribute of a face; the new one has the next generation.

    Raises LunaError FACE_NOT_FOUND, ATTRIBUTE_IN_USE, EMPTY_ATTRIBUTE, SAMPLES_WITHOUT_ATTRIBUTE,
    DUPLICATE_DESCRIPTOR_VERSIONS, and the errors of `faces_allow`.
    """
    attribute_check(attribute)
    with transaction.atomic():
        face = _face_lock(account_id, face_id)
        before = FaceAttribute.objects.filter(face=face).first()
        faces_allow(0 if before else 1)
        _attribute_delete(face)
        _attribute_create(face, attribute, attribute_id, before.generation + 1 if before else 0)
        face.save(update_fields=("last_update_time",))
        _attribute_audit(face, "update", actor)


def _attribute_create(face: Face, data: AttributeData, attribute_id: UUID | None, generation: int) -> None:
    try:
        attribute_row(data, attribute_id, face=face, generation=generation).save(force_insert=True)
    except IntegrityError as error:
        raise LunaError(errors.ATTRIBUTE_IN_USE) from error
    FaceDescriptor.objects.bulk_create(
        FaceDescriptor(face=face, version=each.version, vector=each.vector, score=each.score, generation=generation)
        for each in data.descriptors
    )


def face_attribute_delete(*, account_id: UUID, face_id: UUID, actor: Actor | None = None) -> None:
    """Delete the attribute and the descriptors of a face.

    Raises LunaError FACE_NOT_FOUND, FACE_WITHOUT_ATTRIBUTES for a face without attribute.
    """
    with transaction.atomic():
        face = _face_lock(account_id, face_id)
        if not _attribute_delete(face):
            raise LunaError(errors.FACE_WITHOUT_ATTRIBUTES, face_id)
        face.save(update_fields=("last_update_time",))
        _attribute_audit(face, "delete", actor)


def _attribute_audit(face: Face, action: str, actor: Actor | None) -> None:
    audit_write(
        action=action, object_type="face_attribute", object_id=face.face_id, account_id=face.account_id, actor=actor
    )


def face_descriptors_view(*, scope: Scope, face_id: UUID, actor: Actor) -> FaceAttribute:
    """Return the attribute of a face with descriptors for `actor`, and write an audit line.

    Raises the errors of `face_attribute_get`.
    """
    found = face_attribute_get(scope=scope, face_id=face_id)
    owners = {found.face.face_id: found.face.account_id}
    audit_owned(action="view", object_type="face_descriptor", owners=owners, actor=actor)
    return found


def _face_lock(account_id: UUID, face_id: UUID) -> Face:
    try:
        return faces_lock(account_id=account_id, face_ids=[face_id])[0]
    except LunaError as error:
        raise LunaError(errors.FACE_NOT_FOUND, face_id) from error


def _attribute_delete(face: Face) -> int:
    FaceDescriptor.objects.filter(face=face).delete()
    return FaceAttribute.objects.filter(face=face).delete()[0]


def list_create(
    *, account_id: UUID, user_data: str = "", list_id: UUID | None = None, actor: Actor | None = None
) -> List:
    """Create an empty list. Raises LunaError LIST_EXISTS if the id exists."""
    try:
        with transaction.atomic():
            row: List = List.objects.create(account_id=account_id, user_data=user_data, list_id=list_id or uuid4())
            _lists_audit("create", account_id, [row.list_id], actor)
    except IntegrityError as error:
        if not is_taken(error):
            raise
        raise LunaError(errors.LIST_EXISTS, list_id) from error
    return row


@transaction.atomic
def list_update(*, account_id: UUID, list_id: UUID, user_data: str, actor: Actor | None = None) -> None:
    """Update the description of a list. Raises LunaError LIST_NOT_FOUND."""
    rows = List.objects.for_account(account_id).filter(list_id=list_id)
    if not rows.update(user_data=user_data, last_update_time=utc_now()):
        raise LunaError(errors.LIST_NOT_FOUND, list_id)
    _lists_audit("update", account_id, [list_id], actor)


def _lists_audit(action: str, account_id: UUID, list_ids: Sequence[UUID], actor: Actor | None) -> None:
    audit_write(action=action, object_type="list", object_ids=list_ids, account_id=account_id, actor=actor)


def list_attach_faces(*, account_id: UUID, list_id: UUID, face_ids: Sequence[UUID]) -> None:
    """Attach faces to a list, in the given order.

    Raises LunaError LIST_NOT_FOUND, FACES_NOT_FOUND; then nothing changes.
    """
    with transaction.atomic():
        faces = {face.face_id: face for face in faces_lock(account_id=account_id, face_ids=face_ids)}
        row = _list_lock(account_id, list_id)
        link({row: [faces[face_id] for face_id in dict.fromkeys(face_ids)]})


def list_attach_keys(*, account_id: UUID, list_id: UUID, keys: Sequence[int]) -> None:
    """Attach faces to a list by database key, in the order of keys; deleted faces are skipped.

    Raises LunaError LIST_NOT_FOUND.
    """
    with transaction.atomic():
        rows = Face.objects.for_account(account_id).filter(pk__in=keys).order_by("id").only("id")
        faces = list(rows.select_for_update(no_key=True))
        link({_list_lock(account_id, list_id): faces})


def list_detach_faces(*, account_id: UUID, list_id: UUID, face_ids: Sequence[UUID]) -> None:
    """Detach faces from a list; others are ignored. Raises LunaError LIST_NOT_FOUND, FACES_NOT_FOUND."""
    with transaction.atomic():
        faces = faces_lock(account_id=account_id, face_ids=face_ids)
        row = _list_lock(account_id, list_id)
        unlink([row], ListFace.objects.filter(list=row, face__in=faces).select_related("face"))


def _list_lock(account_id: UUID, list_id: UUID) -> List:
    try:
        return lists_lock(account_id=account_id, list_ids=[list_id])[list_id]
    except LunaError as error:
        raise LunaError(errors.LIST_NOT_FOUND, list_id) from error


def list_delete(*, account_id: UUID, list_id: UUID, with_faces: bool = False, actor: Actor | None = None) -> None:
    """Delete a list, and with `with_faces` also its faces. Raises LunaError LIST_NOT_FOUND."""
    try:
        lists_delete(account_id=account_id, list_ids=[list_id], with_faces=with_faces, actor=actor)
    except LunaError as error:
        raise (LunaError(errors.LIST_NOT_FOUND, list_id) if error.code == errors.LISTS_NOT_FOUND else error) from error


def lists_delete(
    *, account_id: UUID, list_ids: Sequence[UUID], with_faces: bool = False, actor: Actor | None = None
) -> None:
    """Delete lists, and with `with_faces` also their faces, and write an audit line for each list and face.

    Raises LunaError LISTS_NOT_FOUND for a missing list; then nothing is deleted.
    """
    with transaction.atomic():
        keys = faces_lock_of_lists(account_id=account_id, list_ids=list_ids) if with_faces else ()
        rows = lists_lock(account_id=account_id, list_ids=list_ids).values()
        ListFace.objects.filter(list__in=rows).delete()  # deleted lists need no unlink log
        _lists_audit("delete", account_id, [row.list_id for row in rows], actor)
        for batch in batches(keys):
            ids = Face.objects.unscoped().filter(pk__in=batch).values_list("face_id", flat=True)
            audit_write(action="delete", object_type="face", object_ids=ids, account_id=account_id, actor=actor)
        _faces_delete(keys)
        ListDeletion.objects.bulk_create(
            ListDeletion(account_id=account_id, list_id=row.list_id, create_time=row.create_time) for row in rows
        )
        List.objects.unscoped().filter(pk__in=[row.pk for row in rows]).delete()


def avatar_check(avatar: str | None) -> None:
    """Validate an avatar: empty, an absolute http(s) URL or a path of this API, at most 256 characters.

    Raises LunaError BAD_AVATAR_URL.
    """
    if not avatar:
        return
    try:
        parts = urlsplit(avatar)
        absolute = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise LunaError(errors.BAD_AVATAR_URL) from error
    own_path = avatar.startswith(API) and ".." not in parts.path.split("/")  # ".." would lead out of the API
    if len(avatar) > MAX_AVATAR_CHARACTERS or not (absolute or own_path) or not avatar.isprintable() or " " in avatar:
        raise LunaError(errors.BAD_AVATAR_URL)
