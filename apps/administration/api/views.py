"""Views of accounts, lists, faces and the system information."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import selectors as accounts
from apps.accounts.api.administrators import AdministratorView
from apps.accounts.api.serializers import AccountQuery, AccountSerializer, AccountsQuery
from apps.accounts.auth.access import actor_of, principal_of_request, read_scope
from apps.accounts.models import Account
from apps.accounts.services import account_delete
from apps.administration import services
from apps.administration.api.serializers import (
    AdminAccountBody,
    AdminAccountPutBody,
    AdminAccountsSerializer,
    AdminAuthorizationBody,
    AdminFacesSerializer,
    AdminListSerializer,
    AdminListsQuery,
    AdminListsSerializer,
)
from apps.administration.system_info import FILE_HEADERS, SystemInfoJson, system_info
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import created, created_serializer
from apps.common.api.views import path_uuid
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.validation import checked_body, checked_query
from apps.faces import selectors as faces
from apps.faces.api.serializers import FacesQuery
from apps.faces.api.views.faces import FaceView
from apps.faces.models import List
from apps.faces.shapes import FACE_TARGETS, face_shape, list_shape, targets_check
from apps.faces.types import ListRow
from apps.monitoring.api.views import HealthView, ServiceVersionView
from apps.monitoring.service_versions import ADMIN_API_VERSION

DONE = OpenApiResponse(description="Done.")
AccountCreated = created_serializer("account_id")


class AdminVersionView(ServiceVersionView):
    api = ADMIN_API_VERSION


class AdminHealthView(HealthView):
    """Health of the platform, as on all ports."""


class AdminAccountsView(AdministratorView):
    """Accounts of all types."""

    @extend_schema(summary="Create an account of any type", request=AdminAccountBody, responses={201: AccountCreated})
    def post(self, request: Request) -> Response:
        body = checked_body(AdminAccountBody, request)
        return created_account(services.account_create(**body, actor=actor_of(request)))

    @extend_schema(
        summary="List and count accounts", parameters=[AccountsQuery], responses={200: AdminAccountsSerializer}
    )
    def get(self, request: Request) -> Response:
        query = checked_query(AccountsQuery, request)
        rows = accounts.accounts_page(page=Page(query["page"], query["page_size"]))
        shaped = AccountSerializer(rows, many=True, context={"targets": query["targets"]})
        return Response({"accounts": shaped.data, "account_count": accounts.accounts_count()})


class AdminAccountView(AdministratorView):
    """An account."""

    @extend_schema(summary="Get an account", parameters=[AccountQuery], responses={200: AccountSerializer})
    def get(self, request: Request, account_id: str) -> Response:
        query = checked_query(AccountQuery, request)
        return Response(AccountSerializer(open_account(account_id), context={"targets": query["targets"]}).data)

    @extend_schema(
        summary="Create an account with this id", request=AdminAccountPutBody, responses={201: AccountCreated}
    )
    def put(self, request: Request, account_id: str) -> Response:
        key = path_uuid(account_id, errors.ACCOUNT_NOT_FOUND)
        body = checked_body(AdminAccountPutBody, request)
        return created_account(services.account_create(**body, account_id=key, actor=actor_of(request)))

    @extend_schema(summary="Delete an account and all its data", responses={204: DONE})
    def delete(self, request: Request, account_id: str) -> Response:
        account_delete(account=open_account(account_id), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def created_account(account: Account) -> Response:
    return created("account_id", account.account_id, address("admin_account", account.account_id))


def open_account(text: str) -> Account:
    """Return an account by its id in a path. Raises LunaError ACCOUNT_NOT_FOUND, also for one that is being deleted."""
    account = accounts.account_get(path_uuid(text, errors.ACCOUNT_NOT_FOUND))
    if account.deletion_time is not None:
        raise LunaError(errors.ACCOUNT_NOT_FOUND, account.account_id)
    return account


class AdminAuthorizationView(AdministratorView):
    """Login and password of the client's account."""

    @extend_schema(
        summary="Change the own login or password", request=AdminAuthorizationBody, responses={204: DONE}
    )  # fmt: skip
    def patch(self, request: Request) -> Response:
        body = checked_body(AdminAuthorizationBody, request)
        if not body:
            raise LunaError(errors.EMPTY_JSON)
        account = accounts.account_get(principal_of_request(request).account_id)
        services.account_update(account=account, **body, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def shaped_list(row: List | ListRow, face_count: int) -> dict[str, Any]:
    return {**list_shape(row), "face_count": face_count}


class AdminListsView(AdministratorView):
    """Lists of all accounts."""

    @extend_schema(
        summary="Find and count lists of any account",
        parameters=[AdminListsQuery],
        responses={200: AdminListsSerializer},
    )
    def get(self, request: Request) -> Response:
        query, scope = checked_query(AdminListsQuery, request), read_scope(request)
        rows = faces.lists_page(scope=scope, filters={}, page=Page(query["page"], query["page_size"]))
        counts = faces.list_sizes(scope=scope, list_ids=[row.list_id for row in rows])
        shaped = [shaped_list(row, counts.get(row.list_id, 0)) for row in rows]
        return Response({"lists": shaped, "list_count": faces.lists_count(scope=scope, filters={})})


class AdminListView(AdministratorView):
    """A list of any account."""

    @extend_schema(summary="Get a list of any account", responses={200: AdminListSerializer})
    def get(self, request: Request, list_id: str) -> Response:
        row = faces.list_get(scope=read_scope(request), list_id=path_uuid(list_id, errors.LIST_NOT_FOUND))
        return Response(shaped_list(row, row.link_key - row.unlink_key))


class AdminFacesView(AdministratorView):
    """Faces of all accounts."""

    @extend_schema(
        summary="Find and count faces of any account",
        parameters=[FacesQuery],
        responses={200: AdminFacesSerializer},
    )
    def get(self, request: Request) -> Response:
        query, scope = checked_query(FacesQuery, request), read_scope(request)
        targets, page = targets_check(query["targets"], FACE_TARGETS), Page(query["page"], query["page_size"])
        rows = faces.faces_page(scope=scope, filters=query["filters"], page=page, with_lists="lists" in targets)
        found = faces.faces_count(scope=scope, filters=query["filters"])
        return Response({"faces": [face_shape(row, targets) for row in rows], "face_count": found})


class AdminFaceView(AdministratorView, FaceView):
    """A face of any account, to read."""

    http_method_names = ["get", "head"]
    permissions: ClassVar = {}


class AdminSystemInfoView(AdministratorView):
    """The system information, for support."""

    @extend_schema(
        summary="Get the system information",
        description="Versions, numbers of descriptors, settings, licence and statistics. Secrets are masked.",
        responses={200: SystemInfoJson},
    )
    def get(self, request: Request) -> Response:
        return Response(system_info(), headers=FILE_HEADERS)
