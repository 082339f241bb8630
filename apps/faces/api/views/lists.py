"""Views of lists and their faces."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, principal_of_request, read_scope, require_right, write_account
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import count_serializer, created
from apps.common.api.views import LunaView, path_uuid
from apps.common.paging import Page
from apps.common.validation import checked_body, checked_query
from apps.faces import selectors, services
from apps.faces.api.serializers import (
    ListBody,
    ListCreated,
    ListFacesBody,
    ListIdsBody,
    ListPatch,
    ListSerializer,
    ListsQuery,
    ListsSerializer,
    WithFacesQuery,
)
from apps.faces.api.views.attributes import DONE
from apps.faces.filters import ListFilterSerializer
from apps.faces.shapes import list_shape


def with_faces(request: Request) -> bool:
    """Return the flag `with_faces`. Raises LunaError PERMISSION_DENIED for a token that cannot delete faces."""
    wanted = bool(checked_query(WithFacesQuery, request)["with_faces"])
    if wanted:
        require_right(principal_of_request(request), "face", "deletion")
    return wanted


class ListsView(LunaView):
    """Lists of the account."""

    permissions = {"GET": ("list", "view"), "POST": ("list", "creation"), "DELETE": ("list", "deletion")}

    @extend_schema(summary="Create a list", request=ListBody, responses={201: ListCreated})
    def post(self, request: Request) -> Response:
        body = checked_body(ListBody, request)
        row = services.list_create(account_id=write_account(request), **body, actor=actor_of(request))
        return created("list_id", row.list_id, address("list", row.list_id))

    @extend_schema(summary="Find lists", parameters=[ListsQuery], responses=ListsSerializer)
    def get(self, request: Request) -> Response:
        query = checked_query(ListsQuery, request)
        lists = selectors.lists_page(
            scope=read_scope(request), filters=query["filters"], page=Page(query["page"], query["page_size"])
        )
        return Response({"lists": [list_shape(row) for row in lists]})

    @extend_schema(
        summary="Delete lists", request=ListIdsBody, parameters=[WithFacesQuery], responses={204: DONE}
    )  # fmt: skip
    def delete(self, request: Request) -> Response:
        faces_too = with_faces(request)
        body = checked_body(ListIdsBody, request)
        services.lists_delete(
            account_id=write_account(request),
            list_ids=body["list_ids"],
            with_faces=faces_too,
            actor=actor_of(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class ListsCountView(LunaView):
    """Number of lists."""

    permissions = {"GET": ("list", "view")}

    @extend_schema(summary="Count lists", parameters=[ListFilterSerializer], responses=count_serializer("lists_count"))
    def get(self, request: Request) -> Response:
        filters = checked_query(ListFilterSerializer, request)["filters"]
        return Response({"lists_count": selectors.lists_count(scope=read_scope(request), filters=filters)})


class ListView(LunaView):
    """One list."""

    permissions = {"GET": ("list", "view"), "PATCH": ("list", "modification"), "DELETE": ("list", "deletion")}

    @extend_schema(summary="Get a list", responses=ListSerializer)
    def get(self, request: Request, list_id: str) -> Response:
        row = selectors.list_get(scope=read_scope(request), list_id=path_uuid(list_id, errors.LIST_NOT_FOUND))
        return Response(list_shape(row))

    @extend_schema(summary="Change a list", request=ListPatch, responses={204: DONE})
    def patch(self, request: Request, list_id: str) -> Response:
        key = path_uuid(list_id, errors.LIST_NOT_FOUND)
        body = checked_body(ListPatch, request)
        services.list_update(account_id=write_account(request), list_id=key, **body, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete a list", parameters=[WithFacesQuery], responses={204: DONE})
    def delete(self, request: Request, list_id: str) -> Response:
        services.list_delete(
            account_id=write_account(request),
            list_id=path_uuid(list_id, errors.LIST_NOT_FOUND),
            with_faces=with_faces(request),
            actor=actor_of(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class ListFacesView(LunaView):
    """Membership of faces in a list."""

    permissions = {"PATCH": ("list", "modification")}

    @extend_schema(summary="Attach faces to a list or detach them", request=ListFacesBody, responses={204: DONE})
    def patch(self, request: Request, list_id: str) -> Response:
        key = path_uuid(list_id, errors.LIST_NOT_FOUND)
        body = checked_body(ListFacesBody, request)
        change = services.list_attach_faces if body["action"] == "attach" else services.list_detach_faces
        change(account_id=write_account(request), list_id=key, face_ids=body["face_ids"])
        return Response(status=status.HTTP_204_NO_CONTENT)
