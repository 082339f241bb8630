"""The builder: crashes in each step, full disks, erasure, and the thread that runs it."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from apps.common.descriptors import Vector
from apps.common.holdings import Erasure, Reference, Trace, holdings
from apps.faces.models import Face
from apps.faces.services import face_delete
from apps.matching.config import DescriptorsCache
from apps.matching.engine.cached import service
from apps.matching.erasure import segments_check, segments_erase
from apps.matching.segments import builder as builder_module
from apps.matching.segments import codes, files
from apps.matching.segments.builder import builder_lock
from apps.matching.segments.running import running
from tests.factories import make_account, unit_vectors
from tests.unit.matching.segments.conftest import DIMENSION, VERSION, Cached


class KilledError(BaseException):
    """The end of the process at this point: nothing after it runs, clean-up included."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Count the calls that touch the disk, and end at call `step`; the number of calls so far."""
    calls = [0]

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] >= step:
                raise KilledError(name)
            return real(*arguments, **options)

        return call

    monkeypatch.setattr(files, "_private", counted("open", files._private))
    monkeypatch.setattr(files.SegmentWriter, "_write", counted("write", files.SegmentWriter._write))
    monkeypatch.setattr(os, "fsync", counted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", counted("replace", Path.replace))
    monkeypatch.setattr(Path, "unlink", counted("unlink", Path.unlink))
    return lambda: calls[0]


@pytest.mark.parametrize("first", [True, False])
def test_killed_in_each_step(cached_list: Cached, asked: Vector, first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cached_list.add(unit_vectors(40, DIMENSION))
    monkeypatch.setattr(builder_module, "MERGE_SHARE", 0.0)
    step = 1
    while True:
        call_command("list_cache", "drop")
        if not first:
            cached_list.build()
            face_delete(
                account_id=cached_list.account.account_id,
                face_id=Face.objects.unscoped().order_by("pk")[step % 20].face_id,
            )
            cached_list.add(unit_vectors(1, DIMENSION, seed=step))
        with monkeypatch.context() as patch:
            calls = kill_at(patch, step)
            cached_list.clock.now_s += builder_module.TAIL_AFTER_S + 1
            with suppress(KilledError):
                cached_list.builder.step()
            finished = calls() < step
        service.close()
        cached_list.check(asked, 100, memory=None)
        cached_list.build()
        cached_list.check(asked, 100)
        if finished:
            assert step > 8
            break
        step += 1


def test_killed_processes(cached_list: Cached, asked: Vector) -> None:
    """`kill -9` at moments of chance: the next builder continues, and no temporary file stays."""
    cached_list.add(unit_vectors(60, DIMENSION))
    code = (
        "import django; django.setup()\n"
        "from pathlib import Path\n"
        "from apps.common.descriptors import versions\n"
        "from tests.factories import make_version\n"
        "make_version(9802, 32); versions._defaults['face'] = 9802\n"
        "from apps.matching.segments import builder\n"
        "builder.MAX_TAIL_ROWS = -1\n"  # every step builds the whole list
        f"with builder.builder_lock(Path({str(cached_list.root)!r})) as held:\n"
        "    assert held\n"
        f"    each = builder.Builder(Path({str(cached_list.root)!r}))\n"
        "    print('builds', flush=True)\n"
        "    while True: each.step()\n"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "LUNA_DESCRIPTORS_CACHE_SMALLEST_LIST": "1",
    }
    url = connection.get_connection_params()
    environment["DATABASE_URL"] = (
        f"postgresql://{url['user']}:{url['password']}@/{url['dbname']}?host={url['host']}&port={url['port']}"
    )
    for wait_s in (0.0, 0.02, 0.05):
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"builds\n"
        with builder_lock(cached_list.root) as held:
            assert not held
        time.sleep(0.1 + wait_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with builder_lock(cached_list.root) as held:
            assert held
        service.close()
        cached_list.check(asked, 100, memory=None)
        cached_list.build()
        cached_list.check(asked, 100)


def test_two_builders_at_once(filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lock does not hold, as on some network file systems."""
    monkeypatch.setattr(builder_module, "TAIL_ROWS", 1)
    monkeypatch.setattr(builder_module, "MERGE_SHARE", 0.0)
    errors: list[Exception] = []

    def build() -> None:
        own = builder_module.Builder(filled.root)
        try:
            for _ in range(6):
                own.step()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for seed in range(6):
        filled.add(unit_vectors(1, DIMENSION, seed=50 + seed))
        service().copies.refresh()
        filled.check(asked, memory=None)
    for thread in threads:
        thread.join()
    assert not errors
    filled.build()
    filled.check(asked, 1000)


def test_full_disk(cached_list: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    cached_list.add(unit_vectors(40, DIMENSION))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.SegmentWriter, "_write", full)
        cached_list.build()
    cached_list.check(asked, memory=False)
    assert not list(cached_list.root.glob("*-*/*"))  # nothing half-written stays
    cached_list.build()
    cached_list.check(asked)


@pytest.mark.parametrize("name", ["_write", "manifest"])
def test_full_disk_after_changes(filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The changes stay beside the segments, and are written when there is space again."""
    filled.add(asked[:1])

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path.name for path in filled.directory.iterdir()}
    with monkeypatch.context() as patch:
        if name == "_write":
            patch.setattr(files.SegmentWriter, "_write", full)
        else:
            patch.setattr(builder_module, "manifest_write", full)
        filled.build(later_s=builder_module.TAIL_AFTER_S + 1)
    assert filled.check(asked, 1000)[0][0].cosine == pytest.approx(1)
    assert before <= {path.name for path in filled.directory.iterdir()}
    filled.build(later_s=builder_module.TAIL_AFTER_S + 1)
    filled.check(asked, 1000)
    manifest = files.manifest_read(filled.directory)
    assert {path.name for path in filled.directory.iterdir()} == {files.MANIFEST, *(f.name for f in manifest.files)}
    assert manifest.rows == 301


def test_a_list_that_outgrows_its_coordinates(
    cached_list: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (builder_module, codes):
        monkeypatch.setattr(module, "MIN_DIMENSION_OF_HEAD", 32)
        monkeypatch.setattr(module, "MIN_ROWS_OF_HEAD", 50)
    cached_list.add(unit_vectors(45, DIMENSION))
    cached_list.build()
    cached_list.add(unit_vectors(60, DIMENSION, seed=5))
    for _ in range(2):
        cached_list.build(later_s=builder_module.TAIL_AFTER_S + 1)
        cached_list.check(asked, 100)
    copy = service().copies.get(cached_list.row.list_id, VERSION)
    assert copy is not None
    assert [each.segment.basis.head for each in copy.segments] == [10]


def test_damage_is_not_merged(filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.add(unit_vectors(1, DIMENSION, seed=9))
    filled.build(later_s=builder_module.TAIL_AFTER_S + 1)
    path = filled.directory / files.manifest_read(filled.directory).files[0].name
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    monkeypatch.setattr(builder_module, "MERGE_SHARE", 0.0)
    filled.add(unit_vectors(1, DIMENSION, seed=10))
    filled.clock.now_s += builder_module.TAIL_AFTER_S + 1
    filled.builder.step()
    assert not (filled.directory / files.MANIFEST).exists()
    filled.build()
    service.close()
    filled.check(asked, 1000)


def test_many_changes_are_read_as_a_list(filled: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_module, "MAX_TAIL_ROWS", 10)
    filled.add(unit_vectors(12, DIMENSION, seed=9))
    filled.build()
    copy = service().copies.get(filled.row.list_id, VERSION)
    assert copy is not None
    assert [len(each.segment.keys) for each in copy.segments] == [312]
    filled.check(asked, 1000)


def test_accounts_are_erased(filled: Cached, asked: Vector) -> None:
    segments_erase(make_account().account_id, Erasure())
    assert filled.directory.exists()
    erasure = Erasure()
    segments_erase(filled.account.account_id, erasure)
    assert erasure.removed == {"list segments": 1}
    assert not list(filled.root.glob("*-*"))
    filled.check(asked, memory=None)


def test_people_are_erased(filled: Cached, asked: Vector) -> None:
    face = Face.objects.unscoped().order_by("pk")[3]
    trace = Trace(face_id=face.face_id)
    (eraser,) = (each for each in holdings.person_erasers() if type(each).__name__ == "PersonSegments")
    trace.held.add(Reference("face", face.account_id, str(face.face_id)))
    eraser.find(trace)
    face_delete(account_id=filled.account.account_id, face_id=face.face_id)
    eraser.erase(trace)
    eraser.clean(trace)
    assert eraser.report() == {"list_segments": 1}
    assert not list(filled.root.glob("*-*"))
    filled.build()
    filled.check(asked, 1000)


def test_consistency(filled: Cached) -> None:
    assert not list(segments_check(True))
    (path,) = filled.directory.glob("*.segment")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert not list(segments_check(False))
    (fault,) = segments_check(True)
    assert (fault.kind, fault.subject) == ("unreadable list segments", filled.directory.name)
    assert fault.mend is not None
    fault.mend()
    assert not list(segments_check(True))


def test_the_thread(cached_list: Cached, asked: Vector, configure: Callable[..., None]) -> None:
    configure(DescriptorsCache, smallest_list=1, updating_cache_interval=0.1)
    cached_list.add(unit_vectors(40, DIMENSION))
    running()
    try:
        deadline = time.monotonic() + 20
        while service().copies.get(cached_list.row.list_id, VERSION) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        cached_list.check(asked)
        assert running.status() == {"builds": True, "lists_over_memory_limit": 0}
    finally:
        running.close()
    with builder_lock(cached_list.root) as held:
        assert held


def test_command(filled: Cached, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("list_cache", "status")
    assert "300 faces  1 segments" in capsys.readouterr().out
    call_command("list_cache", "drop")
    call_command("list_cache", "status")
    assert "0 lists in memory" in capsys.readouterr().out
    call_command("list_cache", "build")
    assert "1 lists in memory" in capsys.readouterr().out
