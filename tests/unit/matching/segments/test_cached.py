"""The matcher in memory gives the answers of the database, whatever happens to lists, faces and files."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection, transaction

from apps.common.descriptors import Vector, versions
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.faces import changes
from apps.faces.changes import changes_purge
from apps.faces.models import Face, FaceDescriptor
from apps.faces.services import (
    face_attribute_delete,
    face_delete,
    list_delete,
    list_detach_faces,
)
from apps.matching.config import DescriptorsCache
from apps.matching.engine.cached import CachedMatcher, can_serve, list_cache_check, service
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.segments import builder as builder_module
from apps.matching.segments import copies, deciding, scan
from apps.matching.segments.builder import builder_lock
from apps.matching.segments.codes import Basis
from apps.matching.segments.files import manifest_read, manifest_write, segment_write
from apps.matching.types import FaceCandidates
from tests.factories import make_account, make_version, unit_vectors
from tests.unit.matching.segments.conftest import DIMENSION, VERSION, Cached


def test_answers_of_the_database(filled: Cached, asked: Vector) -> None:
    for limit in (1, 5, 21, 100, 299, 1000):
        for threshold in (-1.0, 0.0, 0.4, 0.99):
            filled.check(asked, limit, threshold)
    filled.check(unit_vectors(30, DIMENSION, seed=3))
    filled.check(unit_vectors(300, DIMENSION)[:1], 30)  # twenty-one equal descriptors: in the order of making


def test_versions_do_not_mix(cached_list: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change of the default version, the copy of the old one does not answer for the new one."""
    newer = make_version(9803, DIMENSION)
    faces = cached_list.add(unit_vectors(20, DIMENSION))
    cached_list.build()
    vectors = unit_vectors(20, DIMENSION, seed=5)
    for face, vector in zip(faces, vectors, strict=True):
        FaceDescriptor.objects.create(face=face, version=newer.version, vector=vector)
    monkeypatch.setitem(versions._defaults, "face", newer.version)
    arguments = cached_list.candidates(), newer, [vectors[7]], 5, -1.0
    for built in (False, True):
        if built:
            cached_list.build()
        found = CachedMatcher().search(*arguments)
        assert found == DatabaseMatcher().search(*arguments)
        assert found[0][0].key == faces[7].pk
        assert can_serve(cached_list.candidates(), newer) == built


def test_changes_are_seen_at_once(filled: Cached, asked: Vector) -> None:
    faces = list(Face.objects.unscoped().order_by("pk"))
    filled.add(asked[:1])
    assert filled.check(asked[:1])[0][0].cosine == pytest.approx(1)
    filled.replace(faces[5], asked[1])
    assert filled.check(asked)[1][0].key == faces[5].pk
    filled.replace(faces[5], -asked[1])
    assert filled.check(asked, 1000)[1][-1].key == faces[5].pk
    face_attribute_delete(account_id=filled.account.account_id, face_id=faces[5].face_id)
    assert faces[5].pk not in {hit.key for hit in filled.check(asked, 1000)[1]}
    (nearest, *_), *_ = filled.check(asked)
    face_delete(account_id=filled.account.account_id, face_id=Face.objects.unscoped().get(pk=nearest.key).face_id)
    filled.check(asked, 1000)
    list_detach_faces(
        account_id=filled.account.account_id, list_id=filled.row.list_id, face_ids=[faces[0].face_id, faces[1].face_id]
    )
    filled.check(asked, 1000)
    filled.attach(faces[1:2])
    filled.check(asked, 1000)


def test_changes_during_a_search(filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search scans the list once more only if a face that it proposes has changed."""
    faces = list(Face.objects.unscoped().order_by("pk"))
    ids = {"account_id": filled.account.account_id, "list_id": filled.row.list_id}
    scans: list[int] = []
    pending: list[Callable[[], object]] = []

    def decide_later(**arguments: Any) -> Any:
        if pending:
            pending.pop(0)()
        return changes.decide(**arguments)

    def counted(*arguments: Any) -> Any:
        scans.append(1)
        return scan.proposals(*arguments)

    monkeypatch.setattr(deciding, "decide", decide_later)
    monkeypatch.setattr(copies, "proposals", counted)

    def search(*done: Callable[[], object]) -> int:
        """Match while changes happen between the scan and each decision; return the number of scans."""
        del scans[:]
        pending[:] = done
        arguments = (filled.candidates(), versions.get(VERSION), list(asked), 5, -1.0)
        found = CachedMatcher().search(*arguments)
        assert not pending
        assert found == DatabaseMatcher().search(*arguments)
        return len(scans)

    def best() -> Face:
        return Face.objects.unscoped().get(pk=filled.check(asked)[1][0].key)

    def worst() -> Face:
        return Face.objects.unscoped().get(pk=filled.check(asked, 1000)[0][-1].key)

    far, near = worst(), best()
    assert search(lambda: filled.add(asked[:1]), lambda: filled.add(asked[1:2])) == 1
    assert search(lambda: list_detach_faces(**ids, face_ids=[far.face_id])) == 1
    assert search(lambda: filled.attach([far]), lambda: filled.replace(far, asked[2])) == 1
    assert search(lambda: filled.replace(far, -asked[2])) == 2
    assert search(lambda: list_detach_faces(**ids, face_ids=[near.face_id])) == 2
    assert (
        search(lambda: filled.attach([near]), lambda: face_delete(account_id=ids["account_id"], face_id=near.face_id))
        == 2
    )
    assert search(*(lambda place=place: filled.replace(faces[place], asked[0]) for place in range(40, 44))) == 1


@pytest.mark.parametrize("merge", [False, True])
def test_changes_are_written(filled: Cached, asked: Vector, merge: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_module, "MERGE_SHARE", 0.0 if merge else 1.0)
    monkeypatch.setattr(builder_module, "MAX_FILES", 3)
    random = np.random.default_rng(1)
    for turn in range(8):
        faces = list(Face.objects.unscoped().order_by("pk"))
        some = [faces[place] for place in random.choice(len(faces), 4, replace=False)]
        filled.replace(some[0], unit_vectors(1, DIMENSION, seed=100 + turn)[0])
        face_delete(account_id=filled.account.account_id, face_id=some[1].face_id)
        list_detach_faces(account_id=filled.account.account_id, list_id=filled.row.list_id, face_ids=[some[2].face_id])
        filled.attach(some[2:4])
        filled.add(unit_vectors(3, DIMENSION, seed=200 + turn))
        before = manifest_read(filled.directory).mark
        filled.build(later_s=builder_module.TAIL_AFTER_S + 1)
        assert manifest_read(filled.directory).mark != before
        copy = service().copies.get(filled.row.list_id, VERSION)
        assert copy is not None
        filled.check(asked, 1000)
        assert not len(copy.state.keys)  # nothing beside the segments
        assert len(copy.segments) <= 4
        assert {path.name for path in filled.directory.iterdir()} == {
            "manifest.json", *(each.name for each in copy.segments)
        }  # fmt: skip
    assert (len(copy.segments) == 1) is merge
    service.close()
    filled.check(asked, 1000)  # another process maps the same


def test_filters(filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "FEW", 10)
    Face.objects.unscoped().filter(pk__in=[face.pk for face in Face.objects.unscoped().order_by("pk")[::7]]).update(
        user_data="seventh"
    )
    later = utc_now() + timedelta(hours=1)
    filters: list[tuple[dict[str, Any], bool | None]] = [
        ({"user_data": "seventh"}, True),
        ({"user_data": ""}, True),
        ({"create_time__lt": later}, True),
        ({"user_data": "nobody"}, None),
        ({"face_ids": []}, False),
    ]
    for chosen, memory in filters:
        for limit in (1, 5, 40, 100):
            for threshold in (-1.0, 0.3):
                filled.check(asked, limit, threshold, memory=memory, **chosen)
    filled.add(asked[:1], user_data="seventh")
    assert filled.check(asked, user_data="seventh")[0][0].cosine == pytest.approx(1)


def test_filters_and_the_decision_see_one_snapshot(
    filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A face that stops passing a filter during a search must not hide the next one, nor a new one be half seen."""
    monkeypatch.setattr(deciding, "FEW", 2)
    for name in ("FILTERED_MIN", "FILTERED_PER_RESULT"):
        monkeypatch.setattr(deciding, name, 1)
    near = [hit.key for hit in filled.check(asked[1:2], 30)[0]]
    faces = Face.objects.unscoped()
    faces.filter(pk__in=near[10:]).update(user_data="chosen")
    arguments = (filled.candidates(user_data="chosen"), versions.get(VERSION), list(asked[1:2]), 1, -1.0)
    before = DatabaseMatcher().search(*arguments)
    read: list[int] = []

    def change() -> None:
        with transaction.atomic():
            faces.filter(pk=near[10]).update(user_data="")
            faces.filter(pk=near[0]).update(user_data="chosen")
        connection.close()

    def keys_then_change(members: Any) -> Any:
        keys = changes.keys_of(members)
        if not read:
            thread = threading.Thread(target=change)
            thread.start()
            thread.join()
        read.append(len(keys))
        return keys

    monkeypatch.setattr(deciding, "keys_of", keys_then_change)
    assert CachedMatcher().search(*arguments) == before
    assert read == [20]
    (after,) = filled.check(asked[1:2], 1, user_data="chosen")
    assert [hit.key for hit in after] == near[:1]


def test_accounts_are_apart(filled: Cached, asked: Vector) -> None:
    other = FaceCandidates(scope=Scope(make_account().account_id), filters={"list_id": filled.row.list_id})
    before = service().answers["memory"]
    assert CachedMatcher().search(other, versions.get(VERSION), list(asked), 5, -1.0) == [[], [], []]
    assert service().answers["memory"] == before


def test_uncommitted_changes_stay_in_their_transaction(filled: Cached, asked: Vector) -> None:
    with transaction.atomic():
        filled.check(asked)  # nothing has changed
        filled.add(asked[:1])
        assert filled.check(asked, memory=False)[0][0].cosine == pytest.approx(1)
        transaction.set_rollback(True)
    assert filled.check(asked)[0][0].cosine < 1


def test_settings(filled: Cached, asked: Vector, configure: Callable[..., None]) -> None:
    configure(DescriptorsCache, cached_data={"faces_lists": {"exclude": [filled.row.list_id]}})
    filled.check(asked, memory=False)
    filled.build()
    assert not list(filled.root.glob("*-*"))
    configure(DescriptorsCache, cached_data={"faces_lists": {"include": [filled.row.list_id], "exclude": []}})
    filled.build()
    filled.check(asked)
    configure(DescriptorsCache, memory_limit=1000)
    filled.build()
    assert filled.builder.over_limit == 1
    filled.check(asked, memory=False)
    configure(DescriptorsCache, memory_limit=10**9)
    filled.build()
    filled.check(asked)
    configure(DescriptorsCache, cache_enabled=False)
    filled.check(asked, memory=False)
    filled.build()
    assert not list(filled.root.glob("*-*"))


def test_a_deleted_list(filled: Cached, asked: Vector) -> None:
    list_delete(account_id=filled.account.account_id, list_id=filled.row.list_id)
    assert filled.check(asked, memory=False) == [[], [], []]
    filled.build()
    assert not list(filled.root.glob("*-*"))
    assert service().copies.get(filled.row.list_id, VERSION) is None


def damage_truncate(cached: Cached) -> None:
    (path,) = cached.directory.glob("*.segment")
    os.truncate(path, path.stat().st_size - 1)


def damage_byte(cached: Cached) -> None:
    (path,) = cached.directory.glob("*.segment")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_delete(cached: Cached) -> None:
    (path,) = cached.directory.glob("*.segment")
    path.unlink()


def damage_manifest(cached: Cached) -> None:
    path = cached.directory / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"link_key", b"link_kex"))


def damage_manifest_gone(cached: Cached) -> None:
    (cached.directory / "manifest.json").unlink()


def damage_empty(cached: Cached) -> None:
    for path in cached.directory.iterdir():
        path.write_bytes(b"")


def damage_version(cached: Cached) -> None:
    """Name a segment of another version, with the right checksum."""
    manifest = manifest_read(cached.directory)
    nothing = np.empty(0, np.int64)
    other = segment_write(cached.directory, basis=Basis(DIMENSION), version=1, rows=0, gone=nothing, parts=[])
    manifest_write(cached.directory, replace(manifest, files=(other,)))


def damage_manifest_version(cached: Cached) -> None:
    manifest_write(cached.directory, replace(manifest_read(cached.directory), version=1))


@pytest.mark.parametrize(
    "damage",
    [
        *(damage_truncate, damage_byte, damage_delete, damage_manifest, damage_manifest_gone, damage_empty),
        *(damage_version, damage_manifest_version),
    ],
)
def test_damaged_files_heal(filled: Cached, asked: Vector, damage: Callable[[Cached], None]) -> None:
    service.close()
    damage(filled)
    filled.check(asked, memory=False)
    filled.build()
    filled.check(asked)


def test_a_file_that_is_cut_while_it_is_mapped(filled: Cached, asked: Vector) -> None:
    filled.check(asked)
    damage_truncate(filled)
    filled.check(asked, memory=False)
    filled.build()
    filled.build()
    filled.check(asked)


def test_a_copy_that_knows_other_faces(filled: Cached, asked: Vector) -> None:
    """The log says nothing: an operator deleted rows of the table."""
    filled.check(asked)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM faces_listface WHERE list_id = %s AND link_key <= 290", [filled.row.pk])
    filled.check(asked, memory=False)
    filled.build()
    filled.check(asked, 1000)


def test_an_old_copy_is_made_anew(filled: Cached, asked: Vector) -> None:
    face = Face.objects.unscoped().order_by("pk")[7]
    filled.replace(face, asked[0])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE faces_descriptorchange SET change_time = now() - interval '2 days'")
    changes_purge()
    assert filled.check(asked, memory=False)[0][0].key == face.pk
    filled.build()
    assert filled.check(asked)[0][0].key == face.pk


def test_a_restored_database(filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "cluster", lambda: "another")
    monkeypatch.setattr(builder_module, "cluster", lambda: "another")
    filled.check(asked, memory=False)
    filled.build()
    filled.check(asked)


def test_health(cached_list: Cached, asked: Vector) -> None:
    cached_list.add(unit_vectors(20, DIMENSION))
    with pytest.raises(RuntimeError, match="1 of 1 lists are not in memory yet"):
        service().check()
    cached_list.build()
    service().check()
    call_command("list_cache", "drop")
    service().copies.refresh()
    service().check()  # once loaded, the database answers for lists that are missing
    list_cache_check()


def test_one_builder(filled: Cached) -> None:
    with builder_lock(filled.root) as first, builder_lock(filled.root) as second:
        assert (first, second) == (True, False)


def test_files_are_private(filled: Cached) -> None:
    assert {path.stat().st_mode & 0o777 for path in filled.directory.iterdir()} == {0o600}
    assert filled.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("direction", [1, -1], ids=["old", "clock set back"])
def test_removed_faces_leave_the_disk(filled: Cached, asked: Vector, direction: int) -> None:
    face_delete(account_id=filled.account.account_id, face_id=Face.objects.unscoped().order_by("pk")[0].face_id)
    filled.build(later_s=builder_module.TAIL_AFTER_S + 1)
    copy = service().copies.get(filled.row.list_id, VERSION)
    assert copy is not None
    assert sum(len(each.segment.keys) for each in copy.segments) == 300
    oldest = filled.directory / copy.segments[0].name
    os.utime(oldest, (0, oldest.stat().st_mtime - direction * (builder_module.FORGET_AFTER_S + 60)))
    filled.build()
    copy = service().copies.get(filled.row.list_id, VERSION)
    assert copy is not None
    assert [len(each.segment.keys) for each in copy.segments] == [299]
    filled.check(asked, 1000)
