"""Events that are answered before they are stored: durable on disk, stored once each."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.db import OperationalError

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.events import saving, spool
from apps.events.config import EventsStorage
from apps.events.models import Event, EventDescriptor
from apps.events.saving import Saver, events_enqueue, saver, savings_store, spool_recover
from apps.events.services import events_create
from apps.events.spool import ENTRY, MAGIC, SpoolFile, packed, spool_files, spool_is_empty, unpacked
from apps.events.types import EventDraft, EventRecord
from tests.factories import NOON, make_account

Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the test's own, and a new queue."""
    saver.close()
    monkeypatch.setattr(spool, "folder", lambda: tmp_path)
    yield tmp_path
    saver.close()


def record(**columns: Any) -> EventRecord:
    vector = np.array([0.6, 0.8], np.float32)
    return EventRecord(EventDraft(create_time=NOON, **columns), (Descriptor(1, vector, 0.5), Descriptor(2, vector)))


def killed(*records: tuple[Account, EventRecord]) -> Path:
    """The file of a process that was killed after its answers."""
    file = SpoolFile()
    file.reserve(len(records))
    file.append([packed((account.account_id, each)) for account, each in records])
    os.close(file._fd)  # as the end of a process does
    return file.path


def stored() -> set[Any]:
    return set(Event.objects.unscoped().values_list("event_id", flat=True))


def test_an_event_survives_its_packing() -> None:
    given = record(
        handler_id=uuid4(), tags=("vip",), attach_result=(uuid4(),), meta={"ä": [1.5, None]}, longitude=3.25,
        upper_clothing_colors=(1, 2), match_result=({"label": "a", "candidates": []},), age=30,
    )  # fmt: skip
    account_id = uuid4()
    owner, found = unpacked(packed((account_id, given)))
    assert owner == account_id
    for name, value in given.draft.facts().items():
        assert getattr(found.draft, name) == (list(value) if isinstance(value, tuple) else value), name
    for one, other in zip(found.descriptors, given.descriptors, strict=True):
        assert (one.version, one.score, one.vector.tolist()) == (other.version, other.score, other.vector.tolist())


def test_incomplete_and_damaged_entries_end_a_file(folder: Path) -> None:
    owner = uuid4()
    entries = [packed((owner, record())) for _ in range(3)]
    file = SpoolFile()
    file.reserve(3)
    file.append(entries)
    size = file.size
    os.close(file._fd)
    data = bytearray(file.path.read_bytes())
    assert len(data) == size == len(MAGIC) + sum(ENTRY.size + len(each) for each in entries)
    file.path.write_bytes(data[:-1])
    ((_, found),) = spool_files()
    assert len(found) == 2
    data[len(MAGIC) + ENTRY.size + 5] ^= 1
    file.path.write_bytes(data)
    assert [found for _, found in spool_files()] == [[]]


def test_a_file_in_use_is_left_alone(folder: Path) -> None:
    file = SpoolFile()
    assert list(spool_files()) == []
    assert spool_is_empty()
    file.close()
    assert list(folder.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_queued_events_are_stored_and_the_file_becomes_empty(folder: Path) -> None:
    account = make_account()
    records = [record(source=f"gate {n}") for n in range(20)]
    for each in records:
        events_enqueue(account_id=account.account_id, records=[each])
    saver.close()
    assert stored() == {each.draft.event_id for each in records}
    assert EventDescriptor.objects.count() == 40
    assert list(folder.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_events_of_a_killed_process_are_stored_once() -> None:
    account = make_account()
    records = [record(), record()]
    events_create(account_id=account.account_id, records=records[:1])  # stored, and killed before the file was emptied
    path = killed(*((account, each) for each in records), (account, records[1]))
    assert not spool_is_empty()
    assert spool_recover() == 3
    assert not path.exists()
    assert stored() == {each.draft.event_id for each in records}
    assert Event.objects.unscoped().count() == 2
    assert spool_recover() == 0


@pytest.mark.django_db(transaction=True)
def test_an_outage_of_the_database_delays_events(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    attempts: list[bool] = []

    def store(savings: Any, *, known: bool) -> None:
        attempts.append(known)
        if len(attempts) == 1:
            savings_store(savings, known=known)  # the commit was successful, but its answer was lost
        if len(attempts) < 3:
            raise OperationalError("the server closed the connection")
        savings_store(savings, known=known)

    monkeypatch.setattr(saving, "RETRY_S", 0.01)
    monkeypatch.setattr(saving, "savings_store", store)
    events_enqueue(account_id=account.account_id, records=[record()])
    queue = saver()
    while queue.status()["events"]:
        pass
    assert attempts == [False, True, True]
    assert Event.objects.unscoped().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_rejected_event_is_kept_and_the_others_are_stored(folder: Path) -> None:
    account, gone = make_account(), make_account()
    good, bad, orphan = record(), record(source="x" * 200), record()
    savings = [(account.account_id, good), (account.account_id, bad), (gone.account_id, orphan)]
    gone.delete()
    savings_store(savings, known=False)
    assert stored() == {good.draft.event_id}
    (kept,) = folder.glob("*.rejected")
    assert unpacked(kept.read_bytes())[1].draft.event_id == bad.draft.event_id
    assert kept.stat().st_mode & 0o077 == 0


def test_a_full_queue_refuses(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Saver, "_run", lambda self: None)
    configure(EventsStorage, save_queue_length=2)
    account_id = uuid4()
    events_enqueue(account_id=account_id, records=[record(), record()])
    with pytest.raises(LunaError) as raised:
        events_enqueue(account_id=account_id, records=[record()])
    assert (raised.value.code, raised.value.headers["Retry-After"]) == (23008, "1")


def test_a_closed_queue_refuses() -> None:
    queue = Saver()
    queue.close()
    with pytest.raises(LunaError) as raised:
        queue.submit(account_id=uuid4(), records=[record()], given_ids=False)
    assert raised.value.code == 23009


def test_a_full_disk_is_an_error_and_queues_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    queue = saver()
    monkeypatch.setattr("apps.events.spool.os.fdatasync", full)
    with pytest.raises(LunaError) as raised:
        events_enqueue(account_id=uuid4(), records=[record()])
    assert raised.value.code == 23010
    assert "space" not in raised.value.detail
    assert queue.status()["events"] == 0


CHILD = """
import django, os, sys
django.setup()
from pathlib import Path
from uuid import UUID
from apps.events import spool
from apps.events.saving import Saver, events_enqueue
from apps.events.types import EventDraft, EventRecord
from tests.factories import NOON
spool.folder = lambda: Path(sys.argv[1])
Saver._run = lambda self: None  # the database does not answer
while True:
    draft = EventDraft(create_time=NOON)
    events_enqueue(account_id=UUID(sys.argv[2]), records=[EventRecord(draft)])
    print(draft.event_id, flush=True)
"""


@pytest.mark.django_db(transaction=True)
def test_answered_events_survive_kill_9(folder: Path) -> None:
    account = make_account()
    command = [sys.executable, "-c", CHILD, str(folder), str(account.account_id)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
    assert process.stdout is not None
    answered = {UUID(process.stdout.readline().strip()) for _ in range(50)}
    process.kill()
    answered |= {UUID(line.strip()) for line in process.stdout.read().splitlines() if len(line.strip()) == 36}
    process.wait()
    assert spool_recover() >= len(answered)
    assert answered <= stored()
    assert list(folder.iterdir()) == []
