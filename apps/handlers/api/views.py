"""Views of /6/handlers: create, read, replace, validate and delete handlers."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, principal_of_request, read_scope, write_account
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import count_serializer, created, created_serializer
from apps.common.api.views import LunaView, path_uuid
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.parts import HANDLERS
from apps.common.times import format_time
from apps.common.validation import checked_body, checked_query
from apps.handlers import selectors, services
from apps.handlers.api.serializers import (
    AccountQuery,
    HandlerBody,
    HandlerJson,
    HandlersJson,
    HandlersQuery,
)
from apps.handlers.filters import HandlerFilterSerializer
from apps.handlers.models import Handler
from apps.handlers.policies.filled import policies_filled
from apps.handlers.secrets import policies_mask

NOTHING = OpenApiResponse(description="Done.")


def handler_body(handler: Handler) -> HandlerJson:
    return {
        "handler_id": str(handler.handler_id),
        "account_id": str(handler.account_id),
        "description": handler.description,
        "handler_type": handler.handler_type,
        "lambda_id": None if handler.lambda_id is None else str(handler.lambda_id),
        "policies": policies_filled(policies_mask(handler.policies)),
        "create_time": format_time(handler.create_time),
        "last_update_time": format_time(handler.last_update_time),
    }


def _draft(request: Request) -> services.HandlerDraft:
    body = checked_body(HandlerBody, request)
    return services.HandlerDraft(
        description=body["description"], handler_type=body["handler_type"], policies=body.get("policies")
    )


class HandlersView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"GET": ("handler", "view"), "POST": ("handler", "creation")}

    @extend_schema(summary="create handler", request=HandlerBody, responses={201: created_serializer("handler_id")})
    def post(self, request: Request) -> Response:
        handler = services.handler_create(
            principal=principal_of_request(request), draft=_draft(request), actor=actor_of(request)
        )
        return created("handler_id", handler.handler_id, address("handler", handler.handler_id))

    @extend_schema(summary="get handlers", parameters=[HandlersQuery], responses={200: HandlersJson})
    def get(self, request: Request) -> Response:
        query = checked_query(HandlersQuery, request)
        page = Page(query["page"], query["page_size"])
        handlers = selectors.handlers_page(scope=read_scope(request), filters=query["filters"], page=page)
        return Response({"handlers": [handler_body(handler) for handler in handlers]})


class HandlersCountView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"GET": ("handler", "view")}

    @extend_schema(
        summary="get handlers count",
        parameters=[HandlerFilterSerializer],
        responses={200: count_serializer("handlers_count")},
    )
    def get(self, request: Request) -> Response:
        query = checked_query(HandlerFilterSerializer, request)
        handlers = selectors.handlers_filter(scope=read_scope(request), filters=query["filters"])
        return Response({"handlers_count": handlers.count()})


class HandlersValidatorView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {"POST": ("handler", "creation")}

    @extend_schema(summary="validate handler policies", request=HandlerBody, responses={204: NOTHING})
    def post(self, request: Request) -> Response:
        services.handler_check(principal=principal_of_request(request), draft=_draft(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class HandlerView(LunaView):
    parts = (HANDLERS,)
    permissions: ClassVar = {
        "GET": ("handler", "view"),
        "PUT": ("handler", "modification"),
        "DELETE": ("handler", "deletion"),
    }

    @extend_schema(summary="get handler", parameters=[AccountQuery], responses={200: HandlerJson})
    def get(self, request: Request, handler_id: str) -> Response:
        handler = selectors.handler_get(
            scope=read_scope(request), handler_id=path_uuid(handler_id, errors.HANDLER_NOT_FOUND)
        )
        return Response(handler_body(handler))

    @extend_schema(summary="check if handler exists", parameters=[AccountQuery], responses={200: NOTHING})
    def head(self, request: Request, handler_id: str) -> Response:
        if not selectors.handler_exists(
            scope=read_scope(request), handler_id=path_uuid(handler_id, errors.HANDLER_NOT_FOUND)
        ):
            raise LunaError(errors.HANDLER_NOT_FOUND, handler_id)
        return Response()

    @extend_schema(summary="replace handler", request=HandlerBody, responses={204: NOTHING})
    def put(self, request: Request, handler_id: str) -> Response:
        key = path_uuid(handler_id, errors.HANDLER_NOT_FOUND)
        services.handler_replace(
            principal=principal_of_request(request), handler_id=key, draft=_draft(request), actor=actor_of(request)
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="remove handler", request=None, responses={204: NOTHING})
    def delete(self, request: Request, handler_id: str) -> Response:
        key = path_uuid(handler_id, errors.HANDLER_NOT_FOUND)
        services.handler_delete(account_id=write_account(request), handler_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
