"""View of POST /6/handlers/{handler_id}/events/raw."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import principal_of_request
from apps.common import errors, parts
from apps.common.addresses import address
from apps.common.api.responses import created, created_serializer
from apps.common.api.views import LunaView, path_uuid
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.common.validation import checked_body, checked_query
from apps.events.types import EventDraft
from apps.faces.attribute_input import descriptors_parse
from apps.handlers.api.raw_serializers import RawEventBody, RawEventQuery
from apps.handlers.raw_events import RawEvent, raw_event_create
from apps.handlers.selectors import handler_exists

GIVEN = ("event_id", "source", "stream_id", "track_id", "external_id", "user_data", "tags", "meta")


class RawEventView(LunaView):
    permissions: ClassVar = {"POST": ("event", "creation")}
    parts = (parts.HANDLERS, parts.EVENTS)

    @extend_schema(
        summary="save event",
        description="Stores an event that was made elsewhere and notifies the websockets of the account. The body has "
        "the form of an item of `events` of a generation, without `event_id` and addresses, which are returned. The "
        "policies of the handler do not apply. Faces and samples are referred to, not created or checked.",
        parameters=[RawEventQuery],
        request=RawEventBody,
        responses={201: created_serializer("event_id")},
    )
    def post(self, request: Request, handler_id: str) -> Response:
        account_id = principal_of_request(request).account_id
        key = path_uuid(handler_id, errors.HANDLER_NOT_FOUND)
        if not handler_exists(scope=Scope(account_id), handler_id=key):
            raise LunaError(errors.HANDLER_NOT_FOUND, handler_id)
        query = checked_query(RawEventQuery, request)
        body = checked_body(RawEventBody, request)
        event = RawEvent(
            draft=EventDraft(handler_id=key, **_columns(body)),
            descriptors=[
                descriptor
                for kind in ("face", "body")
                for item in body.get(f"{kind}_attributes", {}).get("descriptors", ())
                for descriptor in descriptors_parse(item, kind=kind)
            ],
            attribute_id=body.get("face_attributes", {}).get("attribute_id"),
            given=cast(dict[str, Any], request.data),
            has_id="event_id" in body,
        )
        stored = raw_event_create(account_id=account_id, event=event, wait_saving=query["wait_saving"])
        return created("event_id", stored.event_id, address("event", stored.event_id))


def _columns(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the event."""
    create_time = body.get("create_time") or body.get("event_create_time") or utc_now()
    place = dict(body.get("location", {}))
    face = body.get("face", {})
    return {
        **{name: body[name] for name in GIVEN if name in body},
        "create_time": create_time,
        "end_time": body.get("end_time") or body.get("event_end_time") or create_time,
        **place.pop("geo_position", {}),
        **place,
        "face_id": face.get("face_id"),
        "attach_result": tuple(face.get("lists", ())),
        "match_result": [_matches(each) for each in body.get("matches", ())],
        **{f"{kind}_detections": _detections(body, kind) for kind in ("face", "body")},
        **body["estimated"],
    }


def _matches(match: Mapping[str, Any]) -> dict[str, Any]:
    candidates = [
        {"face": _texts(each.get("face")), "event": _texts(each.get("event")), "similarity": each["similarity"]}
        for each in match.get("candidates", ())
    ]
    return {"label": match["label"], "candidates": candidates}


def _texts(candidate: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if candidate is None else {name: str(value) for name, value in candidate.items()}


def _detections(body: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [
        {
            "sample_id": None if (sample_id := found.get("sample_id")) is None else str(sample_id),
            "detection": {"rect": {**found["detection"]["rect"].json()}},
            "detect_time": None if (time := detection.get("detect_time")) is None else time.isoformat(),
            "detect_ts": detection.get("detect_ts"),
            "image_origin": detection.get("image_origin"),
        }
        for detection in body.get("detections", ())
        if (found := detection["samples"].get(kind)) is not None
    ]
