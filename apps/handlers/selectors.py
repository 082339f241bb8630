"""Reads of handlers."""

from uuid import UUID

from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.filters import Filters, to_q
from apps.common.paging import Page
from apps.common.prepared import prepared_cursor
from apps.common.rows import columns_of, instance_of
from apps.common.scope import Scope
from apps.handlers.filters import HANDLER_TERMS
from apps.handlers.models import Handler

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
