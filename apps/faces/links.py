"""Membership of faces in lists, with keys without gaps.

Each link takes the list's next link key; each unlink takes its next unlink key and writes a log row. The number of
faces in a list is therefore `link_key - unlink_key`. Every writer locks first the faces, then the lists, each in the
order of their keys. This order prevents deadlocks.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.faces.inserts import links_insert
from apps.faces.models import Face, List, ListFace, ListUnlink

BATCH_FACES = 1000


def faces_lock(*, account_id: UUID, face_ids: Iterable[UUID], for_delete: bool = False) -> list[Face]:
    """Lock faces in key order, against deletion or for it. Raises LunaError FACES_NOT_FOUND for a missing face."""
    wanted = set(face_ids)
    rows = Face.objects.for_account(account_id).filter(face_id__in=wanted).order_by("id")
    faces = list(rows.select_for_update() if for_delete else rows.select_for_update(no_key=True))
    if missing := wanted - {face.face_id for face in faces}:
        raise LunaError(errors.FACES_NOT_FOUND, min(missing))
    return faces


def lists_lock(*, account_id: UUID, list_ids: Iterable[UUID]) -> dict[UUID, List]:
    """Lock lists in key order. Raises LunaError LISTS_NOT_FOUND for a missing list."""
    wanted = set(list_ids)
    rows = List.objects.for_account(account_id).filter(list_id__in=wanted).order_by("id").select_for_update()
    lists = {row.list_id: row for row in rows}
    if missing := wanted - set(lists):
        raise LunaError(errors.LISTS_NOT_FOUND, min(missing))
    return lists


def faces_lock_of_lists(*, account_id: UUID, list_ids: Sequence[UUID]) -> "array[int]":
    """Lock the faces of lists for deletion, then these lists and all other lists of the faces.

    Return the keys of the faces as an array of 8 bytes each, because lists can have millions. Rows are read in batches.
    """
    wanted = set(List.objects.for_account(account_id).filter(list_id__in=list_ids).values_list("pk", flat=True))
    members = ListFace.objects.filter(list_id__in=wanted).order_by("face_id").values_list("face_id", flat=True)
    keys, last = array("q"), 0
    while found := list(members.filter(face_id__gt=last).distinct()[:BATCH_FACES]):
        last = found[-1]
        faces = Face.objects.for_account(account_id).filter(pk__in=found).order_by("id").select_for_update()
        keys.extend(faces.values_list("pk", flat=True))
    # The faces are locked against new links, so these are all of their lists.
    for batch in batches(keys):
        wanted.update(ListFace.objects.filter(face_id__in=batch).values_list("list_id", flat=True).distinct())
    list(List.objects.for_account(account_id).filter(pk__in=wanted).order_by("id").select_for_update())
    return keys


def batches(keys: Sequence[int]) -> Iterator[list[int]]:
    """Yield the keys in batches for one statement each."""
    for start in range(0, len(keys), BATCH_FACES):
        yield list(keys[start : start + BATCH_FACES])


def link(pairs: Mapping[List, Sequence[Face]]) -> None:
    """Attach faces to locked lists. A face that is already in a list keeps its link key."""
    if not pairs:
        return
    known = _known(pairs)
    links = []
    for row, faces in pairs.items():
        for face in faces:
            if (row.pk, face.pk) not in known:
                row.link_key += 1
                links.append((row.pk, face.pk, row.link_key))
    if links:
        links_insert(links)
        changed = {key for key, _, _ in links}
        _save_keys(row for row in pairs if row.pk in changed)


def _known(pairs: Mapping[List, Sequence[Face]]) -> set[tuple[int, int]]:
    """Return the keys (list, face) of existing links."""
    faces = {face.pk for members in pairs.values() for face in members}
    return set(ListFace.objects.filter(list__in=pairs, face__in=faces).values_list("list_id", "face_id"))


def unlink(lists: Iterable[List], links: Iterable[ListFace]) -> None:
    """Delete links (with loaded `face`) from locked lists, and write the log."""
    by_key = {row.pk: row for row in lists}
    gone = sorted(links, key=lambda found: (found.list_id, found.link_key))
    if not gone:
        return
    log = []
    for found in gone:
        row = by_key[found.list_id]
        row.unlink_key += 1
        log.append(
            ListUnlink(
                list=row,
                face_id=found.face.face_id,
                face_key=found.face_id,
                link_key=found.link_key,
                unlink_key=row.unlink_key,
            )
        )
    ListFace.objects.filter(pk__in=[found.pk for found in gone]).delete()
    ListUnlink.objects.bulk_create(log)
    _save_keys({by_key[found.list_id] for found in gone})


def unlink_everywhere(faces: Sequence[int]) -> None:
    """Detach faces (keys) that are locked for deletion from all their lists."""
    in_lists = ListFace.objects.filter(face_id__in=faces)
    # The faces are locked against new links, so these are all of their lists.
    lists = list(
        List.objects.unscoped().filter(pk__in=in_lists.values("list_id")).order_by("id").select_for_update()
    )  # fmt: skip
    if lists:
        unlink(lists, in_lists.select_related("face"))


def _save_keys(lists: Iterable[List]) -> None:
    rows = list(lists)
    for row in rows:
        row.last_update_time = utc_now()
    if len(rows) == 1:
        rows[0].save(update_fields=("link_key", "unlink_key", "last_update_time"))
    else:
        List.objects.unscoped().bulk_update(rows, ("link_key", "unlink_key", "last_update_time"))
