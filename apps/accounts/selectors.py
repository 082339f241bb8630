"""Reads of accounts and tokens."""

from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.models import Account, Token
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.prepared import prepared_rows
from apps.common.rows import columns_of, instance_of

COLUMNS, TOKEN_COLUMNS = columns_of(Account), columns_of(Token)
FIND = f"SELECT {', '.join(COLUMNS)} FROM accounts_account WHERE account_id = %s"  # noqa: S608 - names of our columns
FIND_TOKEN = """
SELECT {} FROM accounts_token t JOIN accounts_account a ON a.account_id = t.account_id WHERE t.token_id = %s
""".format(
    ", ".join(
        [
            *(f"t.{name}::text" if name == "permissions" else f"t.{name}" for name in TOKEN_COLUMNS),  # JSON
            *(f"a.{name}" for name in COLUMNS),
        ]
    )
)


def account_find(account_id: UUID) -> Account | None:
    """Return an account or None. Hand-written SQL, because nearly every request calls it and the ORM is slow."""
    rows = prepared_rows(FIND, [account_id])
    return instance_of(Account, COLUMNS, rows[0]) if rows else None


def account_get(account_id: UUID) -> Account:
    """Return an account. Raises LunaError ACCOUNT_NOT_FOUND."""
    account = account_find(account_id)
    if account is None:
        raise LunaError(errors.ACCOUNT_NOT_FOUND, account_id)
    return account


def account_by_login(login: str) -> Account | None:
    """Return the account of a login, ignoring case. None for a login with a NUL byte, which PostgreSQL rejects."""
    return None if "\0" in login else Account.objects.filter(login=login.lower()).first()


def accounts_page(*, page: Page) -> QuerySet[Account]:
    """Return a page of the accounts that are not being deleted, newest first."""
    return Account.objects.filter(deletion_time__isnull=True).order_by("-create_time", "account_id")[page.slice]


def accounts_count() -> int:
    """Return the number of the accounts that are not being deleted."""
    return Account.objects.filter(deletion_time__isnull=True).count()


def token_find(token_id: UUID) -> Token | None:
    """Return a token of any account, with the account. For authentication only.

    Hand-written SQL, as for `account_find`: the ORM compiled this query for 1 to 2 ms of CPU in every request.
    """
    rows = prepared_rows(FIND_TOKEN, [token_id])
    if not rows:
        return None
    row = rows[0]
    token = instance_of(Token, TOKEN_COLUMNS, row[: len(TOKEN_COLUMNS)])
    token.account = instance_of(Account, COLUMNS, row[len(TOKEN_COLUMNS) :])
    return token


def token_get(*, account_id: UUID, token_id: UUID) -> Token:
    """Return a token of an account. Raises LunaError TOKEN_NOT_FOUND."""
    token: Token | None = Token.objects.for_account(account_id).filter(token_id=token_id).first()
    if token is None:
        raise LunaError(errors.TOKEN_NOT_FOUND, token_id)
    return token


def tokens_page(*, account_id: UUID, page: Page) -> QuerySet[Token]:
    """Return a page of an account's tokens, newest first."""
    return Token.objects.for_account(account_id).order_by("-create_time", "token_id")[page.slice]


def tokens_count(*, account_id: UUID) -> int:
    return Token.objects.for_account(account_id).count()
