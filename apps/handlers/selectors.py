"""Reads of handlers."""

from dataclasses import dataclass
from uuid import UUID

import orjson
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.prepared import prepared_cursor
from apps.common.scope import Scope
from apps.handlers.models import Handler

# Every event runs this query. It is hand-written SQL because the ORM builds it slower than PostgreSQL executes it.
FIELDS = [field.attname for field in Handler._meta.concrete_fields]
ONE = f"""
SELECT {", ".join(FIELDS)} FROM handlers_handler WHERE handler_id = %s AND (%s::uuid IS NULL OR account_id = %s)
"""  # noqa: S608 (names of our own columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFilters:
    """Filters of handlers; None accepts all."""

    description: str | None = None
    handler_type: int | None = None


def handlers_filter(*, scope: Scope, filters: HandlerFilters) -> QuerySet[Handler]:
    handlers: QuerySet[Handler] = Handler.objects.for_scope(scope)
    if filters.description is not None:
        handlers = handlers.filter(description=filters.description)
    if filters.handler_type is not None:
        handlers = handlers.filter(handler_type=filters.handler_type)
    return handlers


def handlers_page(*, scope: Scope, filters: HandlerFilters, page: Page) -> list[Handler]:
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
    handler: Handler = Handler.from_db(DEFAULT_DB_ALIAS, FIELDS, row)
    handler.policies = handler.policies and orjson.loads(handler.policies)
    return handler


def handler_exists(*, scope: Scope, handler_id: UUID) -> bool:
    return bool(Handler.objects.for_scope(scope).filter(handler_id=handler_id).exists())
