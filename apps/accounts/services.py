"""Changes of accounts and tokens."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from apps.accounts import selectors
from apps.accounts.audit import audit_write
from apps.accounts.auth.bearer import token_encode
from apps.accounts.auth.credentials import password_hash
from apps.accounts.auth.permissions import is_within
from apps.accounts.auth.principal import Actor, Principal
from apps.accounts.choices import AccountType, VisibilityArea
from apps.accounts.config import PasswordChanges
from apps.accounts.erasure import account_erase
from apps.accounts.models import Account, Token
from apps.accounts.roles import Role
from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.times import utc_now

logger = logging.getLogger(__name__)

ERASE_S = 20.0  # time limit of erasure within a request


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token and its JWT, which is returned only once."""

    token: Token
    jwt: str


def account_create(
    *,
    login: str,
    password: str,
    account_type: str = AccountType.USER,
    description: str = "",
    account_id: UUID | None = None,
    actor: Actor | None = None,
) -> Account:
    """Create an account.

    Raises LunaError LOGIN_EXISTS for a taken login, ACCOUNT_EXISTS for a taken id, and those of `password_hash`.
    """
    account = Account(
        account_id=account_id or uuid4(), login=login.lower(), account_type=account_type, description=description
    )
    account.password = password_hash(password, account)
    try:
        with transaction.atomic():
            account.save(force_insert=True)
            _audit(account, "create", actor)
    except IntegrityError as error:
        if selectors.account_find(account.account_id) is not None:
            raise LunaError(errors.ACCOUNT_EXISTS, account.account_id) from error
        raise LunaError(errors.LOGIN_EXISTS, login) from error
    return account


def account_update(
    *,
    account: Account,
    login: str | None = None,
    password: str | None = None,
    account_type: str | None = None,
    description: str | None = None,
    time_zone: str | None = None,
    is_active: bool | None = None,
    roles: Iterable[Role] | None = None,
    actor: Actor | None = None,
) -> None:
    """Update the values that are not None. Other columns keep their stored values.

    A new password invalidates cached credentials at once, and deletes the account's tokens unless
    `LUNA_PASSWORD_CHANGE_KEEPS_TOKENS` is set. Raises LunaError LOGIN_EXISTS for a taken login, ADMIN_TYPE_FIXED for
    the type of an administrator, ACCOUNT_NOT_FOUND for an account that has been closed, and those of `password_hash`.
    """
    if account_type not in (None, account.account_type) and account.account_type == AccountType.ADMIN:
        raise LunaError(errors.ADMIN_TYPE_FIXED, account.account_id)
    login = login and login.lower()
    named = Account(login=login or account.login, description=description or account.description)
    given = {
        "login": login,
        "password": None if password is None else password_hash(password, named),
        "account_type": account_type,
        "description": description,
        "time_zone": time_zone,
        "is_active": is_active,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    rows = Account.objects.filter(account_id=account.account_id, deletion_time__isnull=True)
    try:
        with transaction.atomic():
            if not rows.update(**changes, last_update_time=utc_now()):
                raise LunaError(errors.ACCOUNT_NOT_FOUND, account.account_id)
            if roles is not None:
                account.groups.set(Group.objects.filter(name__in=[role.value for role in roles]))
            _audit(account, "update", actor)
            if password is not None and not config(PasswordChanges).keep_tokens:
                _tokens_delete(account, actor)
    except IntegrityError as error:
        raise LunaError(errors.LOGIN_EXISTS, login) from error


def account_delete(*, account: Account, actor: Actor | None = None) -> None:
    """Close an account at once, and erase it with its tokens and all its data after the commit.

    After `ERASE_S`, the periodic job erases the rest. Raises LunaError ACCESS_DENIED for the last administrator.
    """
    account_close(account=account, actor=actor)
    # A lambda, because Django logs the __qualname__ of a failed hook, which a partial lacks.
    transaction.on_commit(lambda: account_erase(account_id=account.account_id, limit_s=ERASE_S), robust=True)


@transaction.atomic
def account_close(*, account: Account, actor: Actor | None = None) -> None:
    """End all access to an account and free its login. Raises LunaError ACCESS_DENIED as `account_delete` does."""
    if account.account_type == AccountType.ADMIN:
        admins = Account.objects.select_for_update().filter(account_type=AccountType.ADMIN, is_active=True)
        if not admins.exclude(account_id=account.account_id).exists():
            raise LunaError(errors.ACCESS_DENIED, "the last administrator cannot be deleted")
    changed = Account.objects.filter(account_id=account.account_id, deletion_time__isnull=True).update(
        is_active=False, deletion_time=utc_now(), login=f"{account.account_id}@deleted.invalid", description=""
    )
    if changed:
        _audit(account, "delete", actor)


def token_create(
    *,
    principal: Principal,
    permissions: Mapping[str, Any],
    description: str = "",
    expiration_time: datetime | None = None,
    visibility_area: str = VisibilityArea.ACCOUNT,
    actor: Actor | None = None,
) -> IssuedToken:
    """Create a token of the principal's account.

    Raises LunaError CREDENTIALS_REQUIRED for a `Luna-Account-Id`, WRONG_CREDENTIALS when the password has changed since
    the authentication, UNACCEPTABLE_PERMISSIONS for a `visibility_area` beyond the principal's scope.
    """
    _require_secret(principal)
    _check_visibility(principal, visibility_area)
    with transaction.atomic():
        _require_current(principal)
        token = Token.objects.create(
            account_id=principal.account_id,
            permissions=dict(permissions),
            description=description,
            expiration_time=expiration_time,
            visibility_area=visibility_area,
        )
        _audit(token, "create", actor)
    logger.info("User with account_id: '%s' create token: '%s'", principal.account_id, token.token_id)
    return IssuedToken(token, token_encode(account_id=principal.account_id, token_id=token.token_id))


@transaction.atomic
def token_replace(
    *,
    principal: Principal,
    token_id: UUID,
    permissions: Mapping[str, Any],
    description: str,
    expiration_time: datetime | None,
    visibility_area: str,
    actor: Actor | None = None,
) -> Token:
    """Replace all values of a token except its id. Its JWT stays valid.

    Raises LunaError TOKEN_NOT_FOUND, CREDENTIALS_REQUIRED for a `Luna-Account-Id`, UNACCEPTABLE_PERMISSIONS for a
    `visibility_area` beyond the principal's scope, and PERMISSION_DENIED when a token would grant rights that it lacks,
    or grant rights for longer than its own lifetime.
    """
    _require_secret(principal)
    _check_visibility(principal, visibility_area)
    if principal.permissions is not None and not is_within(permissions, principal.permissions):
        raise LunaError(errors.PERMISSION_DENIED, "the granted", "everything that the new token may do")
    if principal.token_id is not None:
        own = selectors.token_get(account_id=principal.account_id, token_id=principal.token_id).expiration_time
        if own is not None and (expiration_time is None or expiration_time > own):
            raise LunaError(errors.PERMISSION_DENIED, "the granted", "the time after its own expiration")
    token = selectors.token_get(account_id=principal.account_id, token_id=token_id)
    token.permissions = dict(permissions)
    token.description = description
    token.expiration_time = expiration_time
    token.visibility_area = visibility_area
    token.by_password = token.by_password or principal.token_id is None
    token.save()
    _audit(token, "update", actor)
    return token


@transaction.atomic
def token_delete(*, account_id: UUID, token_id: UUID, actor: Actor | None = None) -> None:
    """Revoke a token at once. Raises LunaError TOKEN_NOT_FOUND."""
    token = selectors.token_get(account_id=account_id, token_id=token_id)
    _audit(token, "delete", actor)
    token.delete()
    logger.info("User with account_id: '%s' delete token: '%s'", account_id, token_id)


def _tokens_delete(account: Account, actor: Actor | None) -> None:
    tokens = Token.objects.for_account(account.account_id)
    token_ids = list(tokens.values_list("token_id", flat=True))
    audit_write(action="delete", object_type="token", object_ids=token_ids, account_id=account.account_id, actor=actor)
    tokens.filter(token_id__in=token_ids).delete()


def _require_current(principal: Principal) -> None:
    """Wait for a change of the account's password, and reject a principal that used the password before it."""
    account = Account.objects.select_for_update(no_key=True).filter(account_id=principal.account_id)
    current = account.values_list("password", flat=True).first()
    if principal.password_hash is not None and principal.password_hash != current:
        raise LunaError(errors.WRONG_CREDENTIALS)


def _require_secret(principal: Principal) -> None:
    if not principal.verified:
        raise LunaError(errors.CREDENTIALS_REQUIRED)


def _check_visibility(principal: Principal, visibility_area: str) -> None:
    if visibility_area == VisibilityArea.ALL and not principal.sees_all_accounts:
        raise LunaError(errors.UNACCEPTABLE_PERMISSIONS, "visibility_area: all", principal.account_type)


def _audit(row: Account | Token, action: str, actor: Actor | None) -> None:
    kind = "token" if isinstance(row, Token) else "account"
    audit_write(action=action, object_type=kind, object_id=row.pk, account_id=row.account_id, actor=actor)
