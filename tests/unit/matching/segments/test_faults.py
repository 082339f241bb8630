"""Faults of disk, memory and single lists: the database answers, nothing piles up, and all heals by itself."""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.common.descriptors import Vector, versions
from apps.common.holdings import Erasure
from apps.faces.changes import ListKeys
from apps.faces.services import list_create
from apps.matching.config import MatchingSpeed
from apps.matching.engine.cached import can_serve_fast, service
from apps.matching.erasure import segments_erase
from apps.matching.segments import builder as builder_module
from apps.matching.segments import copies, fast_building, fast_making, files
from apps.matching.segments.builder import FAILURES, PAUSE_S, TAIL_AFTER_S, Builder
from apps.matching.segments.fast_building import FastBuilder
from tests.factories import unit_vectors
from tests.unit.matching.segments.conftest import DIMENSION, VERSION, Cached


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def named(rows: Cached) -> set[str]:
    return {files.MANIFEST, *(each.name for each in files.manifest_read(rows.directory).files)}


def present(rows: Cached) -> set[str]:
    return {path.name for path in rows.directory.iterdir()}


@pytest.fixture
def forty(cached_list: Cached) -> Cached:
    cached_list.add(unit_vectors(40, DIMENSION))
    cached_list.build()
    return cached_list


@pytest.fixture
def other(forty: Cached, asked: Vector) -> Cached:
    """Another list of the account, which is not built yet."""
    found = Cached(forty.account, list_create(account_id=forty.account.account_id), forty.root)
    found.add(asked[:2])
    return found


def test_changes_are_written_without_space_for_a_merge(
    forty: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder_module, "MERGE_SHARE", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Builder, "_merge", full)
        for number in range(3):
            forty.add(unit_vectors(1, DIMENSION, seed=50 + number))
            forty.build(later_s=PAUSE_S + TAIL_AFTER_S + 1)
            assert present(forty) == named(forty)
    assert files.manifest_read(forty.directory).rows == 43
    forty.check(asked, 100)
    forty.add(asked[:1])
    forty.build(later_s=PAUSE_S + TAIL_AFTER_S + 1)
    assert [file.rows for file in files.manifest_read(forty.directory).files] == [44]
    forty.check(asked, 100)


@pytest.mark.parametrize("first", [True, False])
def test_segments_without_a_manifest_do_not_pile_up(
    cached_list: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    cached_list.add(unit_vectors(40, DIMENSION))
    if not first:
        cached_list.build()
        cached_list.add(asked[:1])
    before = set() if first else named(cached_list)
    with monkeypatch.context() as patch:
        patch.setattr(builder_module, "manifest_write", full)
        for _ in range(3):
            cached_list.build(later_s=PAUSE_S + TAIL_AFTER_S + 1)
            assert present(cached_list) == before
            cached_list.check(asked, 100, memory=not first)
    cached_list.build(later_s=PAUSE_S + TAIL_AFTER_S + 1)
    cached_list.check(asked, 100)


def test_the_last_space_is_left_to_the_database(
    cached_list: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_list.add(unit_vectors(40, DIMENSION))
    blocks = files.FREE_BYTES // 4096
    written: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstatvfs", lambda _: SimpleNamespace(f_bavail=blocks, f_frsize=4096))
        patch.setattr(files.SegmentWriter, "_write", lambda *_: written.append(1))
        cached_list.build()
    assert not written
    assert not present(cached_list)
    cached_list.check(asked, memory=False)
    cached_list.build()
    cached_list.check(asked)


def test_a_list_that_fails_leaves_the_others_alone(
    forty: Cached, other: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the fault is; and a list that fails again and again is not read every two seconds."""
    tried: list[int] = []
    real = Builder._update

    def update(self: Builder, row: ListKeys, *rest: Any) -> None:
        if row.key == forty.row.pk:
            tried.append(row.key)
            raise MemoryError
        real(self, row, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Builder, "_update", update)
        for _ in range(FAILURES + 3):
            forty.build(later_s=2.0)
        assert len(tried) == FAILURES
        forty.build(later_s=PAUSE_S)
        assert len(tried) == FAILURES + 1
    other.check(asked)
    forty.check(asked)
    forty.add(asked[2:])
    forty.build(later_s=PAUSE_S)
    forty.check(asked)
    assert not forty.builder._failed


def test_files_of_a_killed_builder_are_deleted(forty: Cached) -> None:
    """They may hold codes of a person who is erased later."""
    for name in ("0.segment", f".0.segment.{'0' * 32}"):
        (forty.directory / name).write_bytes(b"codes")
    Builder(forty.root).step()
    assert present(forty) == named(forty)


@pytest.mark.parametrize("name", ["segment", "manifest.json"])
def test_a_bad_sector_heals(forty: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bad = {path for path in forty.directory.iterdir() if path.name.endswith(name)}
    real = Path.open

    def opened(self: Path, *arguments: Any, **options: Any) -> Any:
        if self in bad and self.exists() and self.stat().st_ino in inodes:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, *arguments, **options)

    inodes = {path.stat().st_ino for path in bad}
    monkeypatch.setattr(Path, "open", opened)
    service.close()
    forty.check(asked, memory=False)
    forty.build()
    forty.check(asked)


def test_a_list_that_cannot_be_mapped_leaves_the_others_alone(
    forty: Cached, other: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    forty.build()
    real, directory = files.segments_open, files.directory_of(forty.root, forty.row.pk, VERSION)

    def opened(path: Path, *rest: Any) -> Any:
        if path == directory:
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(copies, "segments_open", opened)
        service.close()
        forty.check(asked, memory=False)
        other.check(asked)
    service().copies.refresh()
    forty.check(asked)


def test_many_changes_during_a_long_transaction(forty: Cached) -> None:
    """A backup of an hour keeps all changes of this hour in the mark."""
    manifest = files.manifest_read(forty.directory)
    mark = replace(manifest.mark, seen=frozenset(range(10**9, 10**9 + 200_000)))
    files.manifest_write(forty.directory, replace(manifest, mark=mark))
    assert files.manifest_read(forty.directory).mark == mark


class TestFastCodes:
    @pytest.fixture
    def coded(self, forty: Cached, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Cached:
        configure(MatchingSpeed, fast_from=1, default_speed="fast")
        monkeypatch.setattr(fast_making, "CANDIDATES", (40,))
        monkeypatch.setattr(fast_building, "MIN_ROWS", 40)
        FastBuilder(forty.root, clock=forty.clock).step()
        service().copies.refresh()
        return forty

    def test_a_changed_description_is_healed(self, coded: Cached, asked: Vector) -> None:
        """Each number of it selects what is compared; only the builder makes the codes anew."""
        (path,) = coded.directory.glob("*.fast")
        data = path.read_bytes()
        for name in (b"components", b"candidates", b"exact_from", b"strangers"):
            at = data.index(name) + len(name) + 3
            path.write_bytes(data[:at] + (b"2" if data[at : at + 1] != b"2" else b"3") + data[at + 1 :])
            service.close()
            assert not can_serve_fast(coded.candidates(), versions.get(VERSION)), name
            coded.check(asked)
            assert not path.exists()
        FastBuilder(coded.root, clock=coded.clock).step()
        service().copies.refresh()
        assert can_serve_fast(coded.candidates(), versions.get(VERSION))

    def test_accounts_are_erased_while_codes_are_made(self, coded: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
        directory, real = coded.directory, os.rmdir

        def rmdir(*arguments: Any, **options: Any) -> None:
            with suppress(FileNotFoundError):
                fast_building._state_write(directory, fast_building.FastState("building", 0.5))
            real(*arguments, **options)

        monkeypatch.setattr(os, "rmdir", rmdir)
        segments_erase(coded.account.account_id, Erasure())
        assert not list(coded.root.glob("*-*"))

    def test_an_interrupted_erasure_is_completed(self, coded: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(_: Path) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", interrupted)
            with pytest.raises(KeyboardInterrupt):
                segments_erase(coded.account.account_id, Erasure())
        (rest,) = coded.root.glob("*-*")
        assert not (rest / files.MANIFEST).exists()
        coded.build()
        assert not rest.exists()
