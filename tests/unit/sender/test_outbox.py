"""The outbox: rows, limits, replay, erasure."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.erasure import account_erase
from apps.accounts.models import Account, AuditRecord
from apps.accounts.services import account_close
from apps.common.holdings import Reference, Trace
from apps.common.times import utc_now
from apps.sender.config import Callbacks
from apps.sender.consistency import callbacks_check
from apps.sender.erasure import PersonCallbacks
from apps.sender.models import Callback
from apps.sender.outbox import NewCallback, callbacks_create, callbacks_drop, callbacks_forget, callbacks_replay, quota
from tests.factories import make_account, make_callback
from tests.unit.sender.targets import Noted

pytestmark = pytest.mark.django_db


def buried(owner: Account, **values: Any) -> Callback:
    row = make_callback(owner, Noted(name="a"), **values)
    Callback.objects.unscoped().filter(pk=row.pk).update(dead_time=utc_now(), attempts=7, error="HTTP 500")
    return row


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("callbacks", *arguments, stdout=out)
    return out.getvalue()


def test_beyond_the_limit_new_callbacks_are_dropped_and_counted(
    account: Account, configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    configure(Callbacks, pending_limit=2)
    new = [NewCallback(target=Noted(name="a"), payload="{}") for _ in range(2)]
    callbacks_create(account_id=account.pk, callbacks=new)
    quota().status()
    quota()._checked.clear()
    callbacks_create(account_id=account.pk, callbacks=[NewCallback(target=Noted(name="a"), payload="{}")])
    make_callback(make_account(), Noted(name="a"))  # another account has its own limit
    assert Callback.objects.for_account(account.pk).count() == 2
    assert quota().status() == {"dropped": 1}
    assert f"Dropped 1 callbacks of account {account.pk}" in caplog.text


def test_bytes_have_a_limit_too_and_dead_letters_count_for_neither(
    account: Account, configure: Callable[..., None]
) -> None:
    configure(Callbacks, pending_bytes=100)
    buried(account, payload='"' + "x" * 200 + '"')
    quota()._checked.clear()
    assert quota().has_room(account.pk, 1)
    make_callback(account, Noted(name="a"), payload='"' + "x" * 200 + '"')
    quota()._checked.clear()
    assert not quota().has_room(account.pk, 1)


def test_a_replay_starts_anew_under_the_same_id(account: Account) -> None:
    row, waiting = buried(account), make_callback(account, Noted(name="a"))
    assert callbacks_replay(callback_ids=[row.callback_id, waiting.callback_id, uuid4()]) == 1
    again = Callback.objects.unscoped().get(callback_id=row.callback_id)
    assert (again.dead_time, again.attempts) == (None, 0)
    assert again.due_time <= utc_now() < again.expire_time


def test_dropping_leaves_audit_lines(account: Account) -> None:
    rows = [buried(account), make_callback(account, Noted(name="a"))]
    assert callbacks_drop(callback_ids=[row.callback_id for row in rows]) == 2
    assert not Callback.objects.unscoped().exists()
    lines = AuditRecord.objects.filter(action="delete", object_type="callback", object_account_id=account.pk)
    assert {line.object_id for line in lines} == {str(row.callback_id) for row in rows}


def test_the_command(account: Account) -> None:
    dead, other = buried(account), buried(make_account())
    waiting = make_callback(account, Noted(name="b"))
    assert str(dead.callback_id) in run("list")
    assert str(waiting.callback_id) not in run("list")
    assert str(waiting.callback_id) in run("list", "--pending")
    assert "1 callbacks" in run("list", "--account", str(account.pk))
    for wrong in (["replay"], ["drop", "--all", str(dead.callback_id)]):
        with pytest.raises(CommandError):
            run(*wrong)
    assert run("replay", str(dead.callback_id)) == "1 callbacks are delivered again.\n"
    assert run("drop", "--all") == "1 callbacks dropped.\n"
    left = Callback.objects.unscoped().values_list("callback_id", flat=True)
    assert set(left) == {dead.callback_id, waiting.callback_id}
    assert other.callback_id not in left


def test_deleted_objects_take_their_callbacks_along(account: Account) -> None:
    event_ids = [uuid4(), uuid4()]
    make_callback(account, object_id=event_ids[0])
    other = make_callback(make_account(), object_id=event_ids[1])
    assert callbacks_forget(account_id=account.pk, object_ids=event_ids) == 1
    assert Callback.objects.unscoped().get().pk == other.pk


def test_an_erased_account_keeps_no_callback(account: Account) -> None:
    make_callback(account)
    buried(account)
    other = make_callback(make_account())
    account_close(account=account)
    erased = account_erase(account_id=account.pk)
    assert erased is not None
    assert erased.removed["sender_callback"] == 2
    assert Callback.objects.unscoped().get().pk == other.pk


def test_an_erased_person_is_in_no_callback(account: Account) -> None:
    event_id, face_id, stranger = uuid4(), str(uuid4()), make_account()
    of_event = make_callback(account, object_id=event_id)
    of_face = buried(account, payload=f'{{"event":{{"face":{{"face_id":"{face_id}"}}}}}}')
    of_external = make_callback(account, payload='{"event":{"external_id":"a\\"b","tags":[]}}')
    kept = [
        make_callback(account, object_id=uuid4(), payload='{"event":{"external_id":"a\\"bc"}}'),
        make_callback(stranger, object_id=event_id, payload=f'{{"face_id":"{face_id}","external_id":"a\\"b"}}'),
    ]  # fmt: skip
    trace = Trace(external_id='a"b', account_id=account.pk)
    trace.held |= {Reference("event", account.pk, str(event_id)), Reference("face", account.pk, face_id)}
    eraser = PersonCallbacks()
    eraser.find(trace)
    assert eraser.report() == {"callbacks": 3}
    eraser.erase(trace)
    assert set(Callback.objects.unscoped().values_list("pk", flat=True)) == {row.pk for row in kept}
    lines = AuditRecord.objects.filter(action="erase", object_type="callback")
    assert {line.object_id for line in lines} == {str(row.callback_id) for row in (of_event, of_face, of_external)}


def test_fsck_names_callbacks_of_unknown_kinds(account: Account) -> None:
    row = make_callback(account)
    assert list(callbacks_check(True)) == []
    Callback.objects.unscoped().update(kind="pigeon")
    (fault,) = callbacks_check(True)
    assert (fault.kind, fault.mend) == ("callback of an unknown kind", None)
    assert str(row.callback_id) in fault.subject


def test_a_callback_expires_after_the_total_time(account: Account, configure: Callable[..., None]) -> None:
    configure(Callbacks, total_time=60)
    row = make_callback(account)
    assert row.expire_time - row.create_time == timedelta(seconds=60)
