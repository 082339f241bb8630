"""Authorization: rights of tokens, and the accounts that a request reads and writes."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.auth.authentication import remote_address
from apps.accounts.auth.permissions import EMIT_EVENTS, VIEW, emits_events, handler_is_listed_out
from apps.accounts.auth.principal import Actor, Principal
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.scope import Scope

if TYPE_CHECKING:  # DRF imports this module while it defines the base classes of views
    from apps.common.api.views import LunaView


class AccountPermission(BasePermission):
    """Requires an account and, for a token, the right that the view names for the method.

    Raises LunaError CREDENTIALS_REQUIRED without credentials, PERMISSION_DENIED and RESOURCE_PERMISSION_DENIED for a
    missing right, HANDLER_NOT_WHITELISTED and EVENT_GENERATION_DENIED for events.
    """

    def has_permission(self, request: Request, view: "LunaView") -> bool:  # type: ignore[override]
        principal: Any = request.user  # a Principal or, without credentials, None
        if view.resource and principal is not None:
            require_resource(principal, view.resource)
        if view.is_public(str(request.method)):
            return True
        if principal is None:
            raise LunaError(errors.CREDENTIALS_REQUIRED)
        if principal.permissions is not None:
            needed = view.permissions.get("GET" if request.method == "HEAD" else str(request.method))
            if needed is None:
                raise LunaError(errors.TOKEN_AUTHORIZATION_DENIED)
            if needed:
                handler_id = view.kwargs.get("handler_id")  # lists of tokens use lower case
                require_right(principal, *needed, handler_id=parse_uuid(handler_id) or handler_id)
        return True


def require_right(principal: Principal, kind: str, right: str, handler_id: object = None) -> None:
    """Require a token right. Views call it for rights that depend on the body.

    Raises LunaError PERMISSION_DENIED; for event generation HANDLER_NOT_WHITELISTED and EVENT_GENERATION_DENIED.
    """
    if principal.permissions is None:
        return
    if (kind, right) == EMIT_EVENTS:
        if not emits_events(principal.permissions):
            raise LunaError(errors.EVENT_GENERATION_DENIED)
        if handler_id is not None and handler_is_listed_out(principal.permissions, handler_id):
            raise LunaError(errors.HANDLER_NOT_WHITELISTED)
    elif not principal.may(kind, right):
        raise LunaError(errors.PERMISSION_DENIED, right, kind)


def require_resource(principal: Principal, resource: str) -> None:
    """Require a resource. Raises LunaError RESOURCE_PERMISSION_DENIED when the token's `resources` lack it."""
    if not principal.may("resources", resource):
        raise LunaError(errors.RESOURCE_PERMISSION_DENIED, resource)


def require_password(request: Request) -> Principal:
    """Require a password, for requests that could take over an account.

    Raises LunaError TOKEN_AUTHORIZATION_DENIED for a token, CREDENTIALS_REQUIRED for a `Luna-Account-Id`.
    """
    principal = principal_of_request(request)
    if principal.token_id is not None:
        raise LunaError(errors.TOKEN_AUTHORIZATION_DENIED)
    if not principal.verified:
        raise LunaError(errors.CREDENTIALS_REQUIRED)
    return principal


def principal_of_request(request: Request | HttpRequest) -> Principal:
    """Return the authenticated client. Raises LunaError CREDENTIALS_REQUIRED without credentials."""
    principal: Any = request.user
    if not isinstance(principal, Principal):
        raise LunaError(errors.CREDENTIALS_REQUIRED)
    return principal


def account_if_any(request: Request) -> UUID | None:
    """Return the client's account, or None without credentials: then no stored picture may be named."""
    principal: object = request.user
    return principal.account_id if isinstance(principal, Principal) else None


def may_view(request: Request, kind: str) -> bool:
    """Return whether the client of a public resource may view stored objects of a kind."""
    principal: object = request.user
    return isinstance(principal, Principal) and principal.may(kind, VIEW)


def read_scope(request: Request) -> Scope:
    """Return the scope of a read: the query parameter `account_id`, else all that the client may see.

    Raises LunaError BAD_QUERY_PARAMETERS for an `account_id` that is not a UUID, ACCOUNT_ID_PARAMETER_DENIED for an
    account outside the client's scope.
    """
    principal = principal_of_request(request)
    text = request.query_params.get("account_id")
    if text is None:
        return Scope(None if principal.sees_all_accounts else principal.account_id)
    account_id = parse_uuid(text)
    if account_id is None:
        raise LunaError(errors.BAD_QUERY_PARAMETERS, "'account_id'")
    if account_id != principal.account_id and not principal.sees_all_accounts:
        raise LunaError(errors.ACCOUNT_ID_PARAMETER_DENIED)
    return Scope(account_id)


def write_account(request: Request) -> UUID:
    """Return the account whose data this request changes: always the client's."""
    return principal_of_request(request).account_id


def actor_of(request: Request | HttpRequest) -> Actor:
    """Return the actor for the audit lines of a request to the API or the admin site."""
    user: Any = request.user
    return Actor(getattr(user, "account_id", None), getattr(user, "token_id", None), remote_address(request))
