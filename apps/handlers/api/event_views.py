"""View of event generation: POST /6/handlers/{handler_id}/events."""

from collections import Counter
from datetime import datetime
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import principal_of_request
from apps.accounts.auth.permissions import EMIT_EVENTS
from apps.common import errors
from apps.common.api.views import LunaView, path_uuid
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.parts import EVENTS, HANDLERS
from apps.common.scope import Scope
from apps.common.times import parse_time
from apps.common.validation import checked_query
from apps.handlers.api.event_serializers import EventsForm, EventsQuery
from apps.handlers.api.stream_inputs import PARTS, StreamForm, StreamQuery, stream_references
from apps.handlers.config import HandlersLimits
from apps.handlers.pipeline.generate import generate_events
from apps.handlers.pipeline.run import Run
from apps.handlers.selectors import handler_get, policies_of
from apps.handlers.shapes import GenerationJson, generation_body
from apps.handlers.types import EventParams
from apps.recognition.api.inputs import read_inputs
from apps.recognition.api.openapi import image_request
from apps.recognition.inputs.types import InputReferences, Rules

POLICIES = "policies"
STORING = ("decide", "write", "notify")
TIME_HEADERS = {"create_time": "Luna-Event-Time", "end_time": "Luna-Event-End-Time"}


def _time_headers() -> list[OpenApiParameter]:
    return [
        OpenApiParameter(header, str, OpenApiParameter.HEADER, description=f"`{name}` of the events, RFC 3339.")
        for name, header in TIME_HEADERS.items()
    ]


class EventGenerationView(LunaView):
    """Event generation. Subclasses have their own query, further members of the body, and use them in `described`."""

    permissions: ClassVar = {"POST": EMIT_EVENTS}
    parts = (HANDLERS, EVENTS)
    query: ClassVar[type[EventsQuery]] = EventsQuery
    members: ClassVar[frozenset[str]] = frozenset()

    def described(self, references: InputReferences) -> InputReferences:
        """Return the references, completed by the resource's own members of the body."""
        return references

    @extend_schema(
        summary="generate events",
        description="Applies the handler's policies to the images and generates an event of each person. The response "
        "header Server-Timing gives the milliseconds of each stage.",
        parameters=[EventsQuery, *_time_headers()],
        request=image_request(form=EventsForm, descriptors=True),
        responses={201: GenerationJson},
    )
    def post(self, request: Request, handler_id: str) -> Response:
        return self.generate(request, handler_id)

    def generate(self, request: Request, handler_id: str) -> Response:
        principal = principal_of_request(request)
        key = path_uuid(handler_id, errors.HANDLER_NOT_FOUND)
        handler = handler_get(scope=Scope(principal.account_id), handler_id=key)
        query = checked_query(self.query, request)
        times: dict[str, Any] = {name: _time(request, header) for name, header in TIME_HEADERS.items()}
        rules = Rules(
            image_type=query.pop("image_type"),
            parts=self.members | {POLICIES},
            details=frozenset({"meta", "detect_time", "detect_ts", "image_origin"}),
            descriptors=True,
            bodies=True,
            max_images=config(HandlersLimits).received_images_limit,
        )
        inputs = read_inputs(request, rules, account_id=principal.account_id, described=self.described)
        params = EventParams(
            use_exif=query.pop("use_exif_info"), aggregate=query.pop("aggregate_attributes"), **query, **times
        )
        run = generate_events(
            principal=principal,
            handler_id=key,
            policies=policies_of(handler, inputs.parts.get(POLICIES)),
            inputs=inputs,
            params=params,
        )
        return Response(
            generation_body(run),
            status=status.HTTP_201_CREATED,
            headers={"Server-Timing": server_timing(run)},
        )


class StreamEventsView(EventGenerationView):
    query = StreamQuery
    members = PARTS

    def described(self, references: InputReferences) -> InputReferences:
        return stream_references(references)

    @extend_schema(
        summary="generate stream events (beta)",
        description="Applies the handler's policies to frames of one track and generates one event of them, or, with "
        "`aggregate_attributes` 0, an event of each person in each frame. The client's detections are the boxes of "
        "the faces and bodies. LUNA PLATFORM does not describe this body; docs/compatibility.md does.",
        parameters=[StreamQuery, *_time_headers()],
        request=image_request(form=StreamForm),
        responses={201: GenerationJson},
    )
    def post(self, request: Request, handler_id: str) -> Response:
        return self.generate(request, handler_id)


def _time(request: Request, header: str) -> datetime | None:
    text = request.headers.get(header)
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise LunaError(errors.INVALID_REQUEST, f"header `{header}` must be an RFC 3339 time") from error


def server_timing(run: Run) -> str:
    """Return the value of the `Server-Timing` header, in milliseconds.

    It lists each stage, `store` as the sum of the storing stages, and `image.*` for the steps of recognition.
    """
    stage_ms = Counter(run.stage_ms)
    stage_ms["store"] = sum(stage_ms[name] for name in STORING)
    for result in run.results:
        stage_ms.update({f"image.{name}": ms for name, ms in result.stage_ms.items()})
    return ", ".join(f"{name};dur={ms:.2f}" for name, ms in stage_ms.items())
