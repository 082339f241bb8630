"""Reads of handlers and verifiers."""

from uuid import UUID

from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.filters import Filters, to_q
from apps.common.paging import Page
from apps.common.prepared import prepared_cursor
from apps.common.rows import columns_of, instance_of
from apps.common.scope import Scope
from apps.handlers.filters import HANDLER_TERMS, VERIFIER_TERMS
from apps.handlers.models import Handler, Verifier

# Every event runs this query. It is hand-written SQL because the ORM builds it slower than PostgreSQL executes it.
COLUMNS = columns_of(Handler)
ONE = f"""
SELECT {", ".join(COLUMNS)} FROM handlers_handler WHERE handler_id = %s AND (%s::uuid IS NULL OR account_id = %s)
"""  # noqa: S608 (names of our own columns)


def handlers_filter(*, scope: Scope, filters: Filters) -> QuerySet[Handler]:
    """Return the handlers of the scope that pass the filters, in no order."""
    handlers: QuerySet[Handler] = Handler.objects.for_scope(scope).filter(to_q(filters, HANDLER_TERMS))
    return handlers


def handlers_page(*, scope: Scope, filters: Filters, page: Page) -> list[Handler]:
    """Return a page of handlers, newest first, with one query."""
    rows = handlers_filter(scope=scope, filters=filters).order_by("-create_time", "handler_id")
    return list(rows[page.slice])


def handler_get(*, scope: Scope, handler_id: UUID) -> Handler:
    """Return a handler. Raises LunaError HANDLER_NOT_FOUND."""
    with prepared_cursor() as cursor:
        cursor.execute(ONE, [handler_id, scope.account_id, scope.account_id])
        row = cursor.fetchone()
    if row is None:
        raise LunaError(errors.HANDLER_NOT_FOUND, handler_id)
    return instance_of(Handler, COLUMNS, row)


def handler_exists(*, scope: Scope, handler_id: UUID) -> bool:
    return bool(Handler.objects.for_scope(scope).filter(handler_id=handler_id).exists())


def verifiers_filter(*, account_id: UUID, filters: Filters) -> QuerySet[Verifier]:
    """Return the verifiers of an account that pass the filters, in no order."""
    verifiers: QuerySet[Verifier] = Verifier.objects.for_account(account_id).filter(to_q(filters, VERIFIER_TERMS))
    return verifiers


def verifiers_page(*, account_id: UUID, filters: Filters, page: Page) -> list[Verifier]:
    """Return a page of verifiers, newest first, with one query."""
    rows = verifiers_filter(account_id=account_id, filters=filters).order_by("-create_time", "verifier_id")
    return list(rows[page.slice])


def verifier_get(*, account_id: UUID, verifier_id: UUID) -> Verifier:
    """Return a verifier. Raises LunaError VERIFIER_NOT_FOUND."""
    verifier: Verifier | None = Verifier.objects.for_account(account_id).filter(verifier_id=verifier_id).first()
    if verifier is None:
        raise LunaError(errors.VERIFIER_NOT_FOUND, verifier_id)
    return verifier


def verifier_exists(*, account_id: UUID, verifier_id: UUID) -> bool:
    return bool(Verifier.objects.for_account(account_id).filter(verifier_id=verifier_id).exists())
