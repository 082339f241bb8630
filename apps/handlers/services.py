"""Writes of handlers and verifiers."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor, Principal
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.handlers.choices import HandlerType
from apps.handlers.models import Handler, Verifier
from apps.handlers.policies import policies_parse
from apps.handlers.policies.match import candidates_account
from apps.handlers.policies.verifier import verifier_policies_parse
from apps.handlers.secrets import policies_seal


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerDraft:
    """Handler in a client's request. `policies` is decoded JSON, None for a dynamic handler."""

    description: str = ""
    handler_type: HandlerType = HandlerType.STATIC
    policies: Any = None


def handler_check(*, principal: Principal, draft: HandlerDraft) -> None:
    """Validate a draft.

    Raises LunaError INVALID_JSON for invalid policies, FOREIGN_ACCOUNT_ID for candidates of an account outside the
    principal's scope, LAMBDA_DISABLED for a lambda handler.
    """
    if draft.handler_type == HandlerType.LAMBDA:  # whether `luna_lambda` is on or not: there are no lambdas
        raise LunaError(errors.LAMBDA_DISABLED)
    if draft.handler_type == HandlerType.DYNAMIC:
        if draft.policies is not None:
            raise LunaError(errors.INVALID_JSON, "A dynamic handler accepts no policies. Path: 'policies'")
        return
    for match in policies_parse(draft.policies).match_policy:
        candidates_account(match.candidates, principal)


@transaction.atomic
def handler_create(
    *, principal: Principal, draft: HandlerDraft, actor: Actor | None = None, handler_id: UUID | None = None
) -> Handler:
    """Create a handler. Raises the errors of `handler_check`, and LunaError INVALID_JSON for a masked secret."""
    handler_check(principal=principal, draft=draft)
    handler: Handler = Handler.objects.create(
        account_id=principal.account_id, handler_id=handler_id or uuid4(), **_columns(draft)
    )
    _audit("create", "handler", principal.account_id, handler.handler_id, actor)
    return handler


def handler_replace(*, principal: Principal, handler_id: UUID, draft: HandlerDraft, actor: Actor | None = None) -> None:
    """Replace a handler; masked secrets keep their stored values.

    Raises LunaError HANDLER_NOT_FOUND, and the errors of `handler_create`.
    """
    handler_check(principal=principal, draft=draft)
    rows = Handler.objects.for_account(principal.account_id).filter(handler_id=handler_id)
    with transaction.atomic():
        replaced = rows.select_for_update().first()
        if replaced is None:
            raise LunaError(errors.HANDLER_NOT_FOUND, handler_id)
        rows.update(**_columns(draft, replaced.policies), last_update_time=utc_now())
        _audit("update", "handler", principal.account_id, handler_id, actor)


@transaction.atomic
def handler_delete(*, account_id: UUID, handler_id: UUID, actor: Actor | None = None) -> None:
    """Delete a handler. Raises LunaError HANDLER_NOT_FOUND."""
    if not Handler.objects.for_account(account_id).filter(handler_id=handler_id).delete()[0]:
        raise LunaError(errors.HANDLER_NOT_FOUND, handler_id)
    _audit("delete", "handler", account_id, handler_id, actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierDraft:
    """Verifier in a client's request. `policies` is decoded JSON."""

    description: str = ""
    policies: Any = None


def verifier_check(*, draft: VerifierDraft) -> None:
    """Validate a draft. Raises LunaError INVALID_JSON for invalid policies."""
    verifier_policies_parse(draft.policies)


@transaction.atomic
def verifier_create(*, account_id: UUID, draft: VerifierDraft, actor: Actor | None = None) -> Verifier:
    """Create a verifier of version 1. Raises the errors of `verifier_check`."""
    verifier_check(draft=draft)
    verifier: Verifier = Verifier.objects.create(
        account_id=account_id, description=draft.description, policies=draft.policies
    )
    _audit("create", "verifier", account_id, verifier.verifier_id, actor)
    return verifier


def verifier_replace(
    *, account_id: UUID, verifier_id: UUID, draft: VerifierDraft, actor: Actor | None = None
) -> int:  # fmt: skip
    """Replace a verifier and return its new version. Raises LunaError VERIFIER_NOT_FOUND, and of `verifier_check`."""
    verifier_check(draft=draft)
    with transaction.atomic():
        verifier = Verifier.objects.for_account(account_id).filter(verifier_id=verifier_id).select_for_update().first()
        if verifier is None:
            raise LunaError(errors.VERIFIER_NOT_FOUND, verifier_id)
        verifier.description, verifier.policies = draft.description, draft.policies
        verifier.version += 1
        verifier.save(update_fields=("description", "policies", "version", "last_update_time"))
        _audit("update", "verifier", account_id, verifier_id, actor)
    return int(verifier.version)


@transaction.atomic
def verifier_delete(*, account_id: UUID, verifier_id: UUID, actor: Actor | None = None) -> None:
    """Delete a verifier. Raises LunaError VERIFIER_NOT_FOUND."""
    if not Verifier.objects.for_account(account_id).filter(verifier_id=verifier_id).delete()[0]:
        raise LunaError(errors.VERIFIER_NOT_FOUND, verifier_id)
    _audit("delete", "verifier", account_id, verifier_id, actor)


def _audit(action: str, object_type: str, account_id: UUID, object_id: UUID, actor: Actor | None) -> None:
    audit_write(action=action, object_type=object_type, object_id=object_id, account_id=account_id, actor=actor)


def _columns(draft: HandlerDraft, kept: Any = None) -> dict[str, Any]:
    return {
        "description": draft.description,
        "handler_type": draft.handler_type,
        "policies": policies_seal(draft.policies, kept),
    }
