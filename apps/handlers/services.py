"""Writing handlers."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor, Principal
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.handlers.choices import HandlerType
from apps.handlers.models import Handler
from apps.handlers.policies import policies_parse
from apps.handlers.policies.match import candidates_account
from apps.handlers.secrets import policies_seal


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerDraft:
    """A handler as a client describes it. `policies` is JSON, None for a dynamic one."""

    description: str = ""
    handler_type: HandlerType = HandlerType.STATIC
    policies: Any = None


def handler_check(*, principal: Principal, draft: HandlerDraft) -> None:
    """Raises LunaError INVALID_JSON for policies that are wrong, FOREIGN_ACCOUNT_ID for candidates of an account that
    is not visible, LAMBDA_DISABLED for a lambda handler."""
    if draft.handler_type == HandlerType.LAMBDA:
        raise LunaError(errors.LAMBDA_DISABLED)
    if draft.handler_type == HandlerType.DYNAMIC:
        if draft.policies is not None:
            raise LunaError(errors.INVALID_JSON, "A dynamic handler has no policies. Path: 'policies'")
        return
    for match in policies_parse(draft.policies).match_policy:
        candidates_account(match.candidates, principal)


@transaction.atomic
def handler_create(*, principal: Principal, draft: HandlerDraft, actor: Actor | None = None) -> Handler:
    """Raises like `handler_check`, and LunaError INVALID_JSON for a mask in the place of a secret."""
    handler_check(principal=principal, draft=draft)
    handler: Handler = Handler.objects.create(account_id=principal.account_id, **_columns(draft))
    _audit("create", principal.account_id, handler.handler_id, actor)
    return handler


def handler_replace(*, principal: Principal, handler_id: UUID, draft: HandlerDraft, actor: Actor | None = None) -> None:
    """Masked secrets stay what they are. Raises LunaError HANDLER_NOT_FOUND, and like `handler_create`."""
    handler_check(principal=principal, draft=draft)
    rows = Handler.objects.for_account(principal.account_id).filter(handler_id=handler_id)
    with transaction.atomic():
        replaced = rows.select_for_update().first()
        if replaced is None:
            raise LunaError(errors.HANDLER_NOT_FOUND, handler_id)
        rows.update(**_columns(draft, replaced.policies), last_update_time=utc_now())
        _audit("update", principal.account_id, handler_id, actor)


@transaction.atomic
def handler_delete(*, account_id: UUID, handler_id: UUID, actor: Actor | None = None) -> None:
    """Raises LunaError HANDLER_NOT_FOUND."""
    if not Handler.objects.for_account(account_id).filter(handler_id=handler_id).delete()[0]:
        raise LunaError(errors.HANDLER_NOT_FOUND, handler_id)
    _audit("delete", account_id, handler_id, actor)


def _audit(action: str, account_id: UUID, handler_id: UUID, actor: Actor | None) -> None:
    audit_write(action=action, object_type="handler", object_id=handler_id, account_id=account_id, actor=actor)


def _columns(draft: HandlerDraft, kept: Any = None) -> dict[str, Any]:
    return {
        "description": draft.description,
        "handler_type": draft.handler_type,
        "policies": policies_seal(draft.policies, kept),
    }
