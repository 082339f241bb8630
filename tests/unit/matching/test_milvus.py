"""Lists in Milvus, on Milvus Lite: answers are the database's, and what is deleted goes from Milvus."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pymilvus import MilvusClient

from apps.accounts.models import Account
from apps.common.config import config
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector, versions
from apps.common.holdings import Trace
from apps.common.scope import Scope
from apps.faces.changes import Mark
from apps.faces.models import Face
from apps.faces.services import (
    face_attribute_set,
    face_create,
    face_delete,
    list_attach_faces,
    list_create,
    list_delete,
    list_detach_faces,
)
from apps.faces.types import AttributeData, FaceDraft
from apps.matching.config import DescriptorsCache, MatcherProxy, MilvusServer
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.milvus import sync as sync_module
from apps.matching.milvus.store import MilvusError, MilvusStore, milvus
from apps.matching.milvus.sync import Running, Sync
from apps.matching.plugins.milvus import MilvusPlugin
from apps.matching.plugins.router import Router
from apps.matching.plugins.runner import Runner
from apps.matching.types import FaceCandidates
from apps.privacy.erasure import account_erase, person_erase
from tests.factories import make_account, make_version, unit_vectors
from tests.milvus import milvus_close, server_stop

pytestmark = pytest.mark.django_db(transaction=True)
VERSION, DIMENSION, FACES = 9761, 16, 40


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    found = make_version(VERSION, DIMENSION)
    monkeypatch.setitem(versions._defaults, "face", VERSION)
    return found


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def vectors() -> Vector:
    return unit_vectors(FACES, DIMENSION)


@pytest.fixture
def faces(account: Account, vectors: Vector) -> list[Face]:
    return [add(account, vector, user_data=f"{place % 4}") for place, vector in enumerate(vectors)]


@pytest.fixture
def list_id(account: Account, faces: list[Face]) -> UUID:
    row = list_create(account_id=account.account_id)
    link(account, row.list_id, faces[:30])
    return row.list_id


@pytest.fixture
def plugin(list_id: UUID, tmp_path: Path, configure: Callable[..., None]) -> Iterator[Runner]:
    configure(MilvusServer, uri=str(tmp_path / "milvus.db"), smallest_list=10)
    configure(MatcherProxy, active_plugins=("milvus",))
    configure(DescriptorsCache, updating_cache_interval=3600)
    runner = Runner("milvus", MilvusPlugin())
    assert runner.ready(timeout_s=60)
    runner.plugin.refresh()
    yield runner
    runner.close()
    milvus_close()


def add(account: Account, vector: Vector, **members: object) -> Face:
    draft = FaceDraft(attribute=AttributeData((Descriptor(VERSION, vector),)), **members)  # type: ignore[arg-type]
    return face_create(account_id=account.account_id, draft=draft)


def link(account: Account, list_id: UUID, faces: list[Face]) -> None:
    ids = [face.face_id for face in faces]
    list_attach_faces(account_id=account.account_id, list_id=list_id, face_ids=ids)


def keys(runner: Runner, list_id: UUID, vector: Vector, **filters: object) -> list[int]:
    """The nearest faces by the router, which equal the database's."""
    candidates = FaceCandidates(scope=Scope(None), filters={"list_id": list_id, **filters})
    arguments = (candidates, versions.get(VERSION), [vector, -vector], 5, -1.0)
    found = Router(runners=lambda: [runner]).search(*arguments)
    assert found == DatabaseMatcher().search(*arguments)
    return [hit.key for hit in found[0]]  # type: ignore[misc]


def stored(version: int = VERSION) -> dict[int, list[float]]:
    """Rows of all copies in Milvus: face keys with vectors."""
    client = MilvusClient(config(MilvusServer).uri)
    rows = client.query(
        f"luna_faces_{version}_{DIMENSION}", filter="face >= 0", output_fields=["face", "vector"], limit=999
    )
    return {row["face"]: row["vector"] for row in rows}


def test_a_list_is_followed(
    plugin: Runner, account: Account, list_id: UUID, faces: list[Face], vectors: Vector
) -> None:
    account_id = account.account_id
    (entry,) = milvus().entries()
    assert set(stored()) == {face.pk for face in faces[:30]}
    assert keys(plugin, list_id, vectors[3])[0] == faces[3].pk
    assert faces[31].pk not in keys(plugin, list_id, vectors[31])

    link(account, list_id, faces[30:])
    list_detach_faces(account_id=account_id, list_id=list_id, face_ids=[faces[4].face_id])
    face_delete(account_id=account_id, face_id=faces[5].face_id)
    moved = AttributeData((Descriptor(VERSION, -vectors[6]),))
    face_attribute_set(account_id=account_id, face_id=faces[6].face_id, attribute=moved)
    for place in (4, 5, 6, 31):  # searches see the changes at once
        assert (faces[place].pk in keys(plugin, list_id, vectors[place])[:1]) is (place == 31)
    assert keys(plugin, list_id, vectors[8], user_data="0")
    assert plugin.plugin.status() == {"lists": 1, "from_milvus": 7}

    assert Sync(milvus(), settle_s=0.0).step()  # another process, which continues the same copy
    (found,) = milvus().entries()
    assert (found.copy, found.state) == (entry.copy, "ready")
    assert found.mark != entry.mark
    rows = stored()
    assert set(rows) == {face.pk for place, face in enumerate(faces) if place not in (4, 5)}
    assert rows[faces[6].pk] == pytest.approx((-vectors[6]).tolist())
    plugin.plugin.refresh()
    assert keys(plugin, list_id, vectors[31])[0] == faces[31].pk
    assert plugin.answers == {"answered": 16}


def test_marks_are_published_when_searches_see_the_changes(
    plugin: Runner, account: Account, list_id: UUID, faces: list[Face]
) -> None:
    now = 0.0
    sync = Sync(milvus(), settle_s=10.0, clock=lambda: now)
    (before,) = milvus().entries()
    link(account, list_id, faces[30:35])
    sync.step()
    assert len(stored()) == 35
    assert milvus().entries() == [before]
    now = 9.0
    link(account, list_id, faces[35:])
    sync.step()
    assert milvus().entries() == [before]
    now = 10.0
    sync.step()
    assert milvus().entries()[0].mark.link_key == 35
    now = 19.0
    sync.step()
    assert milvus().entries()[0].mark.link_key == 40


def test_the_database_searches_while_milvus_is_away(
    plugin: Runner, list_id: UUID, vectors: Vector, caplog: pytest.LogCaptureFixture, configure: Callable[..., None]
) -> None:
    configure(MatcherProxy, search_timeout=0.3, active_plugins=("milvus",))
    server_stop()
    assert keys(plugin, list_id, vectors[0])
    assert plugin.answers == {"failed": 2}
    assert "Matching plugin milvus" in caplog.text
    late = Runner("milvus", MilvusPlugin())
    assert not late.ready(timeout_s=30)
    late.close()


def test_erasures_reach_milvus(plugin: Runner, account: Account, list_id: UUID, faces: list[Face]) -> None:
    other = make_account()
    row = list_create(account_id=other.account_id)
    link(other, row.list_id, [add(other, vector) for vector in unit_vectors(12, DIMENSION, 5)])
    plugin.plugin.refresh()
    assert len(stored()) == 42
    receipt = person_erase(trace=Trace(face_id=faces[7].face_id, account_id=account.account_id), dry_run=False)
    assert receipt.found["milvus_vectors"] == 1
    assert faces[7].pk not in stored()
    erased = account_erase(account=account, dry_run=False)
    assert erased is not None
    assert erased.rows["vectors in Milvus"] == 29
    assert len(stored()) == 12
    assert {entry.account_id for entry in milvus().entries()} == {str(other.account_id)}


def test_an_erasure_is_repeated_when_milvus_was_away(plugin: Runner, account: Account, faces: list[Face]) -> None:
    server_stop()
    with pytest.raises(Exception, match=r"."):
        account_erase(account=account, dry_run=False)
    account.refresh_from_db()
    assert account.deletion_time is not None
    assert Face.objects.for_account(account.account_id).count() == FACES
    milvus.close()  # a client starts the server again, as an operator does
    assert account_erase(account=account, dry_run=False) is not None
    assert not stored()
    assert not milvus().entries()


def test_copies_that_cannot_be_used_are_made_anew(
    plugin: Runner, list_id: UUID, account: Account, faces: list[Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted build, another database, a gap in the log, a list that is too small, a deleted list."""
    sync = Sync(milvus(), settle_s=0.0)
    (first,) = milvus().entries()
    milvus().entry_write(replace(first, copy=7, state="building"))
    milvus().entry_write(replace(first, cluster="another"))
    sync.step()
    states = {entry.state: entry for entry in milvus().entries()}
    assert states.keys() == {"retired", "ready"}
    assert states["retired"].copy == first.copy  # its rows stay as long as a process may search them
    milvus().entry_write(replace(states["retired"], since_s=time.time() - sync_module.RETIRED_S - 1))
    sync.step()
    (second,) = milvus().entries()
    assert (second.copy != first.copy, milvus().rows_count(first), milvus().rows_count(second)) == (True, 0, 30)

    milvus().entry_write(replace(second, mark=Mark(3, 2, second.mark.xid)))
    sync = Sync(milvus(), settle_s=0.0)
    sync.step()
    sync.step()
    assert sorted(entry.state for entry in milvus().entries()) == ["ready", "retired"]
    list_detach_faces(account_id=account.account_id, list_id=list_id, face_ids=[face.face_id for face in faces[4:30]])
    sync.step()
    assert {entry.state for entry in milvus().entries()} == {"retired"}
    list_delete(account_id=account.account_id, list_id=list_id)
    sync.step()
    assert not milvus().entries()
    assert not stored()


def test_the_thread_runs_while_the_plugin_is_active(
    plugin: Runner, configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    configure(DescriptorsCache, updating_cache_interval=0.1)
    running = Running()
    deadline = time.monotonic() + 20
    while running.steps < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.close()
    assert running.status() == {"steps": running.steps, "failed": 0}
    assert running.steps >= 2
    configure(MatcherProxy, active_plugins=())
    idle = Running()
    idle.close()
    assert idle.steps == 0


def test_the_command(
    plugin: Runner, list_id: UUID, capsys: pytest.CaptureFixture[str], configure: Callable[..., None]
) -> None:
    call_command("milvus", "status")
    assert capsys.readouterr().out.splitlines() == [
        f"{list_id}  version {VERSION}  30 faces  ready",
        "1 copies of lists in Milvus",
    ]
    call_command("milvus", "drop")
    assert capsys.readouterr().out.splitlines() == ["0 copies of lists in Milvus"]
    milvus.close()
    configure(MilvusServer, uri="")
    with pytest.raises(CommandError, match="LUNA_MILVUS_URI"):
        call_command("milvus", "status")
    with pytest.raises(MilvusError, match="LUNA_MILVUS_URI"):
        MilvusStore.connected()


def test_ties_and_many_results_are_decided_by_the_database(
    plugin: Runner, account: Account, list_id: UUID, vectors: Vector
) -> None:
    """Equal descriptors at the last place cannot be separated by Milvus."""
    link(account, list_id, [add(account, vectors[0]) for _ in range(110)])
    plugin.plugin.refresh()
    keys(plugin, list_id, vectors[0])
    assert plugin.plugin.status()["left_to_database"] == 1
    candidates = FaceCandidates(scope=Scope(account.account_id), filters={"list_id": list_id})
    arguments = (candidates, versions.get(VERSION), [np.array(vectors[1])], 100, 0.1)
    assert Router(runners=lambda: [plugin]).search(*arguments) == DatabaseMatcher().search(*arguments)
