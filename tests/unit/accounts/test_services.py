"""Services of accounts, `ensure_admin`, the audit log and the rules of permissions."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from apps.accounts.audit import audit_write
from apps.accounts.auth.access import require_resource, require_right
from apps.accounts.auth.logins import ACTIONS
from apps.accounts.auth.permissions import (
    EMIT_EVENTS,
    OBJECT_RIGHTS,
    RESOURCES,
    all_permissions,
    handler_is_listed_out,
    is_within,
)
from apps.accounts.auth.principal import Actor, Principal
from apps.accounts.choices import AccountType
from apps.accounts.config import Administrator, Audit
from apps.accounts.jobs import audit_prune
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.services import account_close, account_update
from apps.common.errors import LunaError
from apps.common.scope import UnscopedQueryError
from apps.common.times import utc_now
from luna.settings import base
from tests.factories import make_account

pytestmark = pytest.mark.django_db
ONE, TWO = uuid4(), uuid4()


def ensure_admin(*arguments: str) -> str:
    out = StringIO()
    call_command("ensure_admin", *arguments, stdout=out)
    return out.getvalue()


def test_administrator_with_a_random_password() -> None:
    made = json.loads(ensure_admin("--json"))
    assert made["created"]
    assert made["account_id"] == "00000000-0000-4000-b000-000000000146"
    account = Account.objects.get(account_id=made["account_id"])
    assert account.account_type == AccountType.ADMIN
    assert len(made["password"]) >= 16
    assert account.check_password(made["password"])
    again = json.loads(ensure_admin("--json"))
    assert again == {**made, "created": False, "password": None}
    account.refresh_from_db()
    assert account.check_password(made["password"])


def test_administrator_of_the_settings(configure: Callable[..., None]) -> None:
    configure(Administrator, login="root@luna.test")
    configure(Administrator, password="chosen by the operator")
    configure(Administrator, account_id=str(ONE))
    text = ensure_admin()
    assert "root@luna.test" in text
    assert "chosen" not in text
    assert Account.objects.get(account_id=ONE).check_password("chosen by the operator")
    assert "already" in ensure_admin()


def test_random_password_is_printed_once() -> None:
    assert "only once" in ensure_admin()
    assert "only once" not in ensure_admin()


def test_passwords_are_kept_by_argon2(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    assert identify_hasher(make_account().password).algorithm == "argon2"


def test_a_change_does_not_open_an_account_that_is_closed_meanwhile() -> None:
    account = make_account()
    known = Account.objects.get(pk=account.pk)
    account_close(account=account)
    with pytest.raises(LunaError) as refused:
        account_update(account=known, password="another one", login="back@luna.test")
    assert refused.value.code == 15012
    closed = Account.objects.get(pk=account.pk)
    assert (closed.is_active, closed.login) == (False, f"{account.pk}@deleted.invalid")
    assert closed.deletion_time is not None


def test_changes_at_one_time_do_not_undo_each_other() -> None:
    account = make_account()
    one, other = (Account.objects.get(pk=account.pk) for _ in range(2))
    account_update(account=one, is_active=False)
    account_update(account=other, description="front desk")
    account.refresh_from_db()
    assert (account.is_active, account.description) == (False, "front desk")


def test_audit_lines_in_one_insert(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    owner, reader, token = uuid4(), uuid4(), uuid4()
    with django_assert_num_queries(1):
        audit_write(
            action="view",
            object_type="face_sample",
            object_ids=[ONE, TWO],
            account_id=owner,
            actor=Actor(reader, token, "192.0.2.1"),
        )
    lines = list(AuditRecord.objects.order_by("id"))
    assert [line.object_id for line in lines] == [str(ONE), str(TWO)]
    assert {(line.account_id, line.token_id, line.object_account_id) for line in lines} == {(reader, token, owner)}
    assert lines[0].remote_address == "192.0.2.1"


def test_audit_lines_end_with_their_retention(configure: Callable[..., None]) -> None:
    for age_days in (0, 29, 31):
        audit_write(action="view", object_type="face", object_id=age_days)
        AuditRecord.objects.filter(object_id=str(age_days)).update(time=utc_now() - timedelta(days=age_days))
    call_command("audit_prune", stdout=StringIO())
    assert AuditRecord.objects.count() == 3, "without a setting they are kept for ever"
    configure(Audit, retention_days=30)
    audit_prune()
    assert set(AuditRecord.objects.values_list("object_id", flat=True)) == {"0", "29"}
    with pytest.raises(CommandError):
        call_command("audit_prune", login_days=-1)
    with pytest.raises(CommandError):
        call_command("audit_prune", days=-1)


@pytest.mark.parametrize("action", ACTIONS)
def test_audit_lines_of_logins_end_earlier(action: str) -> None:
    """Anonymous clients cause them, so they must not fill the database."""
    for name in (action, "delete"):
        audit_write(action=name, object_type="account", object_id=name)
    AuditRecord.objects.update(time=utc_now() - timedelta(days=91))
    audit_write(action=action, object_type="account", object_id="recent")
    audit_prune()
    assert set(AuditRecord.objects.values_list("object_id", flat=True)) == {"delete", "recent"}


def test_audit_line_holds_the_request_id(client: Client) -> None:
    request_id = "1536751345,8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a"
    body = {"login": "a@luna.test", "password": "a password"}
    client.post("/6/accounts", body, "application/json", headers={"Luna-Request-Id": request_id})
    assert AuditRecord.objects.get().request_id == request_id


def test_rows_need_a_scope() -> None:
    for query in (Token.objects.all, Token.objects.count, lambda: Token.objects.filter(token_id=ONE)):
        with pytest.raises(UnscopedQueryError):
            query()
    assert not Token.objects.for_account(ONE).exists()


def token_principal(**permissions: Any) -> Principal:
    return Principal(ONE, AccountType.USER, "a@luna.test", token_id=TWO, permissions=permissions)


def code_of(*arguments: Any) -> int:
    with pytest.raises(LunaError) as error:
        require_right(*arguments)
    return error.value.code


def rights() -> list[tuple[str, str]]:
    return [(kind, right) for kind, of_kind in OBJECT_RIGHTS.items() for right in of_kind]


@pytest.mark.parametrize(("kind", "right"), rights())
def test_each_right_stands_alone(kind: str, right: str) -> None:
    only = token_principal(**{kind: [right]})
    require_right(only, kind, right)
    others = [pair for pair in rights() if pair != (kind, right)]
    assert {code_of(only, *pair) for pair in others} == {11059}
    require_right(Principal(ONE, AccountType.USER, "a@luna.test"), kind, right)


def emit(allowed: int = 1, white: list[UUID] | None = None, black: list[UUID] | None = None) -> dict[str, Any]:
    lists = {"white_list": [str(each) for each in white or ()], "black_list": [str(each) for each in black or ()]}
    return {"emit_events": {"allowed": allowed, **lists}}


@pytest.mark.parametrize(
    ("permissions", "handler_id", "code"),
    [
        ({}, ONE, 11068),
        (emit(0), ONE, 11068),
        (emit(0, white=[ONE]), ONE, 11068),
        (emit(), ONE, None),
        (emit(white=[ONE]), ONE, None),
        (emit(white=[ONE]), TWO, 11067),
        (emit(black=[ONE]), ONE, 11067),
        (emit(black=[ONE]), TWO, None),
        (emit(white=[ONE], black=[ONE]), ONE, 11067),
        (emit(white=[ONE]), None, None),
    ],
)
def test_event_generation(permissions: dict[str, Any], handler_id: UUID | None, code: int | None) -> None:
    principal = token_principal(**permissions)
    if code is None:
        require_right(principal, *EMIT_EVENTS, handler_id)
    else:
        assert code_of(principal, *EMIT_EVENTS, handler_id) == code


def test_handler_lists_compare_text() -> None:
    assert handler_is_listed_out(emit(black=[ONE]), str(ONE))
    assert not handler_is_listed_out({}, ONE)


@pytest.mark.parametrize("resource", RESOURCES)
def test_resources(resource: str) -> None:
    require_resource(token_principal(resources=[resource]), resource)
    with pytest.raises(LunaError) as error:
        require_resource(token_principal(resources=[each for each in RESOURCES if each != resource]), resource)
    assert error.value.code == 11060


@pytest.mark.parametrize(
    ("wanted", "own", "within"),
    [
        ({}, {}, True),
        (all_permissions(), all_permissions(), True),
        (all_permissions(), {}, False),
        ({"face": ["view"]}, {"face": ["view", "deletion"]}, True),
        ({"face": ["view", "deletion"]}, {"face": ["view"]}, False),
        ({"resources": ["sdk"]}, {"resources": ["iso"]}, False),
        (emit(), emit(), True),
        (emit(), {}, False),
        (emit(), emit(0), False),
        (emit(0), {}, True),
        (emit(), emit(white=[ONE]), False),
        (emit(white=[ONE]), emit(white=[ONE, TWO]), True),
        (emit(white=[ONE, TWO]), emit(white=[ONE]), False),
        (emit(), emit(black=[ONE]), False),
        (emit(black=[ONE, TWO]), emit(black=[ONE]), True),
    ],
)
def test_what_a_token_may_pass_on(wanted: dict[str, Any], own: dict[str, Any], within: bool) -> None:
    assert is_within(wanted, own) is within
