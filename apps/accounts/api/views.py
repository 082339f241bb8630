"""Views of accounts, tokens and credentials."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import selectors, services
from apps.accounts.api.serializers import (
    AccountBody,
    AccountPatch,
    AccountQuery,
    AccountSerializer,
    AccountsQuery,
    AccountsSerializer,
    CredentialsBody,
    CredentialsSerializer,
    TokenBody,
    TokenQuery,
    TokenSerializer,
    TokensSerializer,
)
from apps.accounts.auth.access import actor_of, principal_of_request, require_password
from apps.accounts.auth.authentication import (
    ACCOUNT_HEADER,
    BASIC_CHALLENGE,
    LunaAuthentication,
    bearer_principal,
    header_principal,
    remote_address,
    unauthorized,
)
from apps.accounts.auth.credentials import password_verify
from apps.accounts.auth.permissions import all_permissions
from apps.accounts.auth.principal import Principal
from apps.accounts.choices import AccountType
from apps.accounts.config import Registration
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import count_serializer, created, created_serializer
from apps.common.api.views import LunaView, path_uuid
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.paging import Page, PageQuery
from apps.common.validation import checked_body, checked_query

DONE = OpenApiResponse(description="Done.")


class AccountsView(LunaView):
    """Registration, and the list of accounts for clients whose scope is all accounts."""

    public = ("POST",)
    permissions = {"GET": ("account", "view")}

    @extend_schema(
        summary="Register an account",
        request=AccountBody,
        responses={201: created_serializer("account_id")},
        parameters=[
            OpenApiParameter(ACCOUNT_HEADER, UUID, OpenApiParameter.HEADER, description="The id of the new account.")
        ],
    )
    def post(self, request: Request) -> Response:
        body = checked_body(AccountBody, request)
        require_registration(request, body["account_type"])
        header = request.headers.get(ACCOUNT_HEADER)
        account_id = None if header is None else parse_uuid(header.strip())
        if header is not None and account_id is None:
            raise LunaError(errors.BAD_ACCOUNT_ID_HEADER)
        account = services.account_create(**body, account_id=account_id, actor=actor_of(request))
        return created("account_id", account.account_id, address("account"))

    @extend_schema(summary="List accounts", parameters=[AccountsQuery], responses=AccountsSerializer)
    def get(self, request: Request) -> Response:
        if not principal_of_request(request).sees_all_accounts:
            raise LunaError(errors.ACCESS_DENIED)
        query = checked_query(AccountsQuery, request)
        accounts = selectors.accounts_page(page=Page(query["page"], query["page_size"]))
        shaped = AccountSerializer(accounts, many=True, context={"targets": query["targets"]})
        return Response({"accounts": shaped.data})


def require_registration(request: Request, account_type: str) -> None:
    """Require an administrator's password, unless registration of this account type is open.

    Raises LunaError CREDENTIALS_REQUIRED without credentials, ACCESS_DENIED for another client, and the errors of
    authentication.
    """
    switch = config(Registration).open
    if account_type == AccountType.ADVANCED_USER:
        switch = switch and config(Registration).open_advanced
    if switch:
        return
    authenticated = LunaAuthentication().authenticate(request) if "Authorization" in request.headers else None
    if authenticated is None:
        problem = f"an administrator registers accounts of type {account_type} (`LUNA_OPEN_REGISTRATION`)"
        raise LunaError(errors.CREDENTIALS_REQUIRED, problem)
    principal, _ = authenticated
    if principal.account_type != AccountType.ADMIN or principal.token_id is not None:
        raise LunaError(errors.ACCESS_DENIED)


class AccountView(LunaView):
    """The client's account."""

    permissions = {"GET": ("account", "view")}

    @extend_schema(summary="Get the account", parameters=[AccountQuery], responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        query = checked_query(AccountQuery, request)
        account = selectors.account_get(principal_of_request(request).account_id)
        return Response(AccountSerializer(account, context={"targets": query["targets"]}).data)

    @extend_schema(summary="Change the account", request=AccountPatch, responses={204: DONE})
    def patch(self, request: Request) -> Response:
        principal = require_password(request)
        body = checked_body(AccountPatch, request)
        if not body:
            raise LunaError(errors.EMPTY_JSON)
        account = selectors.account_get(principal.account_id)
        promotes = body.get("account_type") == AccountType.ADVANCED_USER and account.account_type == AccountType.USER
        if promotes and not config(Registration).open_advanced:
            raise LunaError(errors.ACCESS_DENIED)
        services.account_update(account=account, **body, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete the account and all its data", responses={204: DONE})
    def delete(self, request: Request) -> Response:
        principal = require_password(request)
        services.account_delete(account=selectors.account_get(principal.account_id), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def token_fields(request: Request) -> dict[str, Any]:
    """Validate the body of a token and apply `grant_all_permissions`.

    Raises LunaError INVALID_JSON, BAD_QUERY_PARAMETERS.
    """
    body = checked_body(TokenBody, request)
    if checked_query(TokenQuery, request)["grant_all_permissions"]:
        body["permissions"] = all_permissions()
    elif "permissions" not in body:
        raise LunaError(errors.INVALID_JSON, "This field is required. Path: 'permissions'")
    return body


class TokensView(LunaView):
    """Tokens of the client's account. A token cannot create tokens."""

    permissions = {"GET": ("token", "view")}

    @extend_schema(
        summary="Create a token",
        request=TokenBody,
        parameters=[TokenQuery],
        responses={201: created_serializer("token_id", token=serializers.CharField(help_text="The JWT."))},
    )
    def post(self, request: Request) -> Response:
        principal = principal_of_request(request)
        issued = services.token_create(principal=principal, **token_fields(request), actor=actor_of(request))
        token_id = issued.token.token_id
        return created("token_id", token_id, address("token", token_id), token=issued.jwt)

    @extend_schema(summary="List tokens", parameters=[PageQuery], responses=TokensSerializer)
    def get(self, request: Request) -> Response:
        query = checked_query(PageQuery, request)
        tokens = selectors.tokens_page(
            account_id=principal_of_request(request).account_id, page=Page(query["page"], query["page_size"])
        )
        return Response({"tokens": TokenSerializer(tokens, many=True).data})


class TokensCountView(LunaView):
    permissions = {"GET": ("token", "view")}

    @extend_schema(summary="Count tokens", responses=count_serializer("tokens_count"))
    def get(self, request: Request) -> Response:
        return Response({"tokens_count": selectors.tokens_count(account_id=principal_of_request(request).account_id)})


class TokenView(LunaView):
    """A token of the client's account."""

    permissions = {"GET": ("token", "view"), "PUT": ("token", "modification"), "DELETE": ("token", "deletion")}

    @extend_schema(summary="Get a token", responses=TokenSerializer)
    def get(self, request: Request, token_id: str) -> Response:
        token = selectors.token_get(
            account_id=principal_of_request(request).account_id, token_id=path_uuid(token_id, errors.TOKEN_NOT_FOUND)
        )
        return Response(TokenSerializer(token).data)

    @extend_schema(summary="Replace a token", request=TokenBody, parameters=[TokenQuery], responses={204: DONE})
    def put(self, request: Request, token_id: str) -> Response:
        services.token_replace(
            principal=principal_of_request(request),
            token_id=path_uuid(token_id, errors.TOKEN_NOT_FOUND),
            **token_fields(request),
            actor=actor_of(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Revoke a token", responses={204: DONE})
    def delete(self, request: Request, token_id: str) -> Response:
        services.token_delete(
            account_id=principal_of_request(request).account_id,
            token_id=path_uuid(token_id, errors.TOKEN_NOT_FOUND),
            actor=actor_of(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class CredentialsView(LunaView):
    """Verification of credentials: the response names their account and rights."""

    public = True

    @extend_schema(summary="Verify credentials", request=CredentialsBody, responses=CredentialsSerializer)
    def post(self, request: Request) -> Response:
        body = checked_body(CredentialsBody, request)
        if "token" in body:
            principal = bearer_principal(body["token"])
            rights = {"permissions": principal.permissions, "visibility_area": principal.visibility_area}
            return Response({**account_fields(principal), **rights})
        if "account_id" in body:
            address, host = remote_address(request), request.headers.get("Host", "")
            return Response(account_fields(header_principal(str(body["account_id"]), address, host)))
        try:
            account = password_verify(**body, address=remote_address(request))
        except LunaError as error:
            raise unauthorized(error, BASIC_CHALLENGE) from error
        return Response({"account_id": account.account_id, "account_type": account.account_type})


def account_fields(principal: Principal) -> dict[str, Any]:
    return {"account_id": principal.account_id, "account_type": principal.account_type}
