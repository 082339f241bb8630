"""Reads of handlers and verifiers."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.filters import Filters, to_q
from apps.common.paging import Page
from apps.common.prepared import prepared_cursor
from apps.common.rows import columns_of, instance_of
from apps.common.scope import Scope
from apps.handlers.choices import HandlerType
from apps.handlers.filters import HANDLER_TERMS, VERIFIER_TERMS
from apps.handlers.models import Handler, Verifier
from apps.handlers.policies import Policies, policies_cached

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


def policies_of(handler: Handler, given: Any) -> Policies:
    """Return the stored policies of a static handler, or the given policies (decoded JSON) for a dynamic handler.

    `given`: None for none. Raises LunaError DYNAMIC_HANDLER_REQUIRED for policies that are given to a static handler,
    JSON_FIELD_NOT_FOUND if none are given to a dynamic handler, INVALID_JSON for invalid given policies,
    FOREIGN_ACCOUNT_ID if they name candidates of other accounts, HANDLER_CORRUPTED for invalid stored policies.
    """
    if handler.handler_type == HandlerType.DYNAMIC:
        if given is None:
            raise LunaError(errors.JSON_FIELD_NOT_FOUND, "policies")
        return own_account_only(policies_cached(given), handler.account_id)
    if given is not None:
        raise LunaError(errors.DYNAMIC_HANDLER_REQUIRED)
    try:
        return policies_cached(handler.policies, stored=True)
    except LunaError as error:
        raise LunaError(errors.HANDLER_CORRUPTED, handler.handler_id) from error


def own_account_only(policies: Policies, account_id: UUID) -> Policies:
    """Return policies that a request supplies.

    Raises LunaError FOREIGN_ACCOUNT_ID for candidates of other accounts.
    """
    if any(policy.candidates.account_id not in (None, account_id) for policy in policies.match_policy):
        raise LunaError(errors.FOREIGN_ACCOUNT_ID, "match_policy")
    return policies


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
