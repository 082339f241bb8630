"""Views of GET /6/events, GET and HEAD /6/events/{event_id}."""

from typing import ClassVar, TypedDict

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import read_scope
from apps.common import errors
from apps.common.api.views import LunaView, path_uuid
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.parts import EVENTS
from apps.common.validation import checked_query
from apps.events import selectors
from apps.events.api.serializers import EventsQuery, TargetsQuery
from apps.events.shapes import StoredEventJson, event_body, targets_check, targets_columns


class StoredEventsJson(TypedDict):
    events: list[StoredEventJson]


class EventsView(LunaView):
    parts = (EVENTS,)
    permissions: ClassVar = {"GET": ("event", "view")}

    @extend_schema(
        summary="get events",
        description="Returns the events that pass all filters, newest first. Without ids and create times the search "
        "covers the last 30 days. `null` in a list selects events without this estimation. "
        "`meta.<path>[__<operator>][:<type>]` filters by a value in `meta`. Operators: eq, neq, like, nlike, in, nin, "
        "gt, gte, lt, lte. Types: string, integer, numeric.",
        parameters=[EventsQuery],
        responses={200: StoredEventsJson},
    )
    def get(self, request: Request) -> Response:
        query = checked_query(EventsQuery, request)
        targets_check(query["targets"])
        events = selectors.events_page(
            scope=read_scope(request),
            filters=query["filters"],
            page=Page(query["page"], query["page_size"]),
            order=query["order"],
            columns=targets_columns(query["targets"]),
        )
        return Response({"events": [event_body(event, query["targets"]) for event in events]})


class EventView(LunaView):
    parts = (EVENTS,)
    permissions: ClassVar = {"GET": ("event", "view")}

    @extend_schema(summary="get event", parameters=[TargetsQuery], responses={200: StoredEventJson})
    def get(self, request: Request, event_id: str) -> Response:
        query = checked_query(TargetsQuery, request)
        targets_check(query["targets"])
        event = selectors.event_get(
            scope=read_scope(request),
            event_id=path_uuid(event_id, errors.EVENT_NOT_FOUND),
            columns=targets_columns(query["targets"]),
        )
        return Response(event_body(event, query["targets"]))

    @extend_schema(
        summary="check that an event exists", responses={200: OpenApiResponse(OpenApiTypes.NONE, "The event exists.")}
    )
    def head(self, request: Request, event_id: str) -> Response:
        if not selectors.event_exists(scope=read_scope(request), event_id=path_uuid(event_id, errors.EVENT_NOT_FOUND)):
            raise LunaError(errors.EVENT_NOT_FOUND, event_id)
        return Response()
