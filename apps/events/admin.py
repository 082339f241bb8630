"""Read-only admin pages of events."""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter, RangeNumericFilter
from unfold.decorators import display

from apps.accounts.adminbase.display import (
    NOTHING,
    found_by_id,
    json_text,
    may_view,
    page_named,
    recognised,
    similarity_bar,
    tags,
)
from apps.accounts.adminbase.filters import NamedFilter, PartFilter, TagFilter, by_numbers, readable
from apps.accounts.auth.access import actor_of
from apps.common.fields import parse_uuid
from apps.common.filters.enums import Emotion, EthnicGroup, Gender, Liveness, Mask, ObjectType
from apps.common.parts import EVENTS
from apps.events.models import Event
from apps.imagestore.addresses import object_of_address, sample_of_address
from apps.imagestore.admin import Box, Picture, PicturesAdmin, face_sample, photograph, thumbnail
from apps.imagestore.choices import Bucket, holds_pictures
from apps.imagestore.models import StoredObject
from apps.imagestore.services import pictures_view

RECT = ("x", "y", "width", "height")
ESTIMATIONS = (
    ("gender", Gender, "%(state)s"),
    ("emotion", Emotion, "%(state)s"),
    ("ethnic_group", EthnicGroup, "%(state)s"),
    ("mask", Mask, _("mask %(state)s")),
    ("liveness", Liveness, _("liveness %(state)s")),
)


class ListFilter(NamedFilter):
    """Events whose face was attached to a list."""

    title = _("list (name or id)")
    parameter_name = "list"
    page, id_column = "faces_list", "list_id"

    def filtered(self, request: HttpRequest, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(attach_result__overlap=list(self.ids(request, value)))


class HandlerFilter(NamedFilter):
    """Events of a handler."""

    title = _("handler (description or id)")
    parameter_name = "handler"
    page, id_column = "handlers_handler", "handler_id"

    def filtered(self, request: HttpRequest, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(handler_id__in=list(self.ids(request, value)))


@admin.register(Event)
class EventAdmin(PicturesAdmin):
    """Read-only pages of events; events are immutable."""

    parts = (EVENTS,)
    list_display = ("picture", "name", "account", "person", "top_match", "tag_names", "create_time")
    list_display_links = ("picture", "name")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("create_time", RangeDateTimeFilter),
        ("source", PartFilter),
        TagFilter,
        ListFilter,
        HandlerFilter,
        ("top_similar_object_similarity", RangeNumericFilter),
        ("top_similar_object_type", by_numbers(ObjectType)),
        ("gender", by_numbers(Gender)),
        ("emotion", by_numbers(Emotion)),
        ("mask", by_numbers(Mask)),
        ("liveness", by_numbers(Liveness)),
    )
    search_fields = (
        "source",
        "external_id",
        "track_id",
        "user_data",
        "top_matching_candidates_label",
        "account__login",
    )
    id_search_fields = ("event_id", "face_id", "handler_id", "account_id", "top_similar_object_id")
    whole_search_fields = ("source", "external_id", "track_id", "user_data")
    search_help_text = _(
        'A part of source, external id, track, user data, label or login; "a whole text" in quotes; or any id of it'
    )
    date_hierarchy = "create_time"
    ordering = ("-create_time", "-id")
    fieldsets = (
        (None, {"fields": ("links", "large_picture", "photographs", "person", "tag_names", "candidates")}),
        (_("Where and when"), {"fields": ("source", "create_time", "end_time", "insert_time", "track_id", "place")}),
        (_("Record"), {"fields": ("event_id", "account", "handler", "face", "external_id", "user_data", "lists",
                               "detections", "meta_text")}),
    )  # fmt: skip

    def picture_of(self, row: Event) -> Picture | None:
        for detections, bucket in (
            (row.face_detections, Bucket.FACE_SAMPLES),
            (row.body_detections, Bucket.BODY_SAMPLES),
        ):
            for detection in detections:
                if sample_id := parse_uuid(str(detection.get("sample_id"))):
                    return Picture(bucket, sample_id)
        return None

    def sources_of(self, event: Event) -> dict[Picture, list[Box]]:
        """Return the stored source images of an event, each with the boxes of its face and body."""
        found: dict[Picture, list[Box]] = {}
        for detection in (*event.face_detections, *event.body_detections):
            stored = object_of_address(str(detection.get("image_origin") or ""), behind_host=True)
            rect = (detection.get("detection") or {}).get("rect") or {}
            if stored is not None and holds_pictures(stored[0]):
                boxes = found.setdefault(Picture(*stored), [])
                if all(isinstance(rect.get(side), int) for side in RECT):
                    boxes.append((rect["x"], rect["y"], rect["width"], rect["height"]))
        return found

    def pictures_by_id(self, event_ids: Iterable[UUID]) -> dict[UUID, Picture]:
        """Return the pictures of events by `event_id`."""
        rows = Event.everything.filter(event_id__in=list(event_ids)).only(
            "event_id", "face_detections", "body_detections"
        )
        return {row.event_id: picture for row in rows if (picture := self.picture_of(row))}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Pass the candidates to the event. Their pictures leave one audit line, and so do the source images."""
        if (event := kwargs.get("obj")) is not None:
            event.shown_candidates = self._candidates(request, event)
            event.shown_sources = self.sources_of(event) if may_view(request.user, StoredObject) else {}
            pictures = {picture.object_id: event.account_id for picture in event.shown_sources}
            pictures_view(page=f"source images of {event.event_id}", pictures=pictures, actor=actor_of(request))
        return super().render_change_form(request, context, *args, **kwargs)

    def _candidates(self, request: HttpRequest, event: Event) -> list[dict[str, Any]]:
        found = [_Candidate(match["label"], each) for match in event.match_result for each in match["candidates"]]
        pictures: dict[UUID | None, Picture] = {}
        if may_view(request.user, StoredObject):
            for page in {each.page for each in found}:
                ids = {each.object_id for each in found if each.page == page and each.object_id and not each.avatar}
                pictures |= page_named(page).pictures_by_id(ids) if ids else {}
            pictures |= {each.object_id: each.avatar for each in found if each.object_id and each.avatar}
            shown = {picture.object_id: event.account_id for picture in pictures.values()}
            pictures_view(page=f"candidates of {event.event_id}", pictures=shown, actor=actor_of(request))
        return [
            {
                "picture": thumbnail(pictures.get(each.object_id), each.name, user=request.user),
                "link": found_by_id(each.page, each.object_id, each.name, viewer=request.user),
                "label": each.label,
                "similarity": similarity_bar(each.similarity),
            }
            for each in found
        ]

    @display(description=_("actions"))
    def links(self, event: Any) -> SafeString:
        """Link the pages of the workbench that start from this event."""
        offered = (("trace", _("Trace this person")), ("match", _("Match")))
        return format_html_join(
            " ",
            '<a class="luna-button" href="{}?event={}">{}</a>',
            ((reverse(f"workbench:{page}"), event.event_id, text) for page, text in offered),
        )

    @display(description=_("source images"))
    def photographs(self, event: Any) -> SafeString:
        alt = _("source image of %(event)s, with a box around the person") % {"event": event}
        shown = ((photograph(each, boxes, alt, user=event.viewer),) for each, boxes in event.shown_sources.items())
        return format_html_join("", "{}", shown) or NOTHING

    @display(description=_("event"), header=True)
    def name(self, event: Event) -> list[str]:
        return [event.source or event.user_data or "—", str(event.event_id)]

    @display(description=_("looks like"))
    def person(self, event: Event) -> str:
        known = [
            str(sentence % {"state": readable(numbers(getattr(event, name)).word)})
            for name, numbers, sentence in ESTIMATIONS
            if getattr(event, name) is not None
        ]
        age = [] if event.age is None else [_("%(age)d years") % {"age": event.age}]
        return ", ".join([*known, *age]) or NOTHING

    @display(description=_("resembles"), ordering="top_similar_object_similarity")
    def top_match(self, event: Event) -> str | SafeString:
        if event.top_similar_object_similarity is None:
            return NOTHING
        label = event.top_matching_candidates_label or ""
        return recognised(event.top_similar_object_similarity, label, _top_name(event))

    @display(description=_("tags"))
    def tag_names(self, event: Event) -> SafeString:
        return tags(event.tags)

    @display(description=_("candidates"))
    def candidates(self, event: Any) -> str:
        rows = event.shown_candidates
        return render_to_string("admin/luna/candidates.html", {"rows": rows}) if rows else NOTHING

    @display(description=_("place"))
    def place(self, event: Event) -> str:
        parts = [event.city, event.area, event.district, event.street, event.house_number]
        if event.longitude is not None and event.latitude is not None:
            parts.append(f"{event.latitude:.5f}°, {event.longitude:.5f}°")
        return ", ".join(part for part in parts if part) or "—"

    @display(description=_("handler"))
    def handler(self, event: Any) -> SafeString:
        return found_by_id("handlers_handler", event.handler_id, viewer=event.viewer)

    @display(description=_("face"))
    def face(self, event: Any) -> SafeString:
        return found_by_id("faces_face", event.face_id, viewer=event.viewer)

    @display(description=_("attached to lists"))
    def lists(self, event: Any) -> SafeString:
        links = ((found_by_id("faces_list", list_id, viewer=event.viewer),) for list_id in event.attach_result)
        return format_html_join(", ", "{}", links) or NOTHING

    @display(description=_("detections"))
    def detections(self, event: Event) -> SafeString:
        found = {"face": event.face_detections, "body": event.body_detections}
        return json_text({kind: detections for kind, detections in found.items() if detections})

    @display(description=_("meta"))
    def meta_text(self, event: Event) -> SafeString:
        return json_text(event.meta)


def _top_name(event: Event) -> Any:
    """Return the name that the most similar object had when the event was created."""
    found = (_Candidate(match["label"], each) for match in event.match_result for each in match["candidates"])
    names = (each.name for each in found if each.object_id and each.object_id == event.top_similar_object_id)
    return next(names, event.top_similar_external_id)


class _Candidate:
    """A candidate of a stored match: a face or an event, as its row was when the event was created."""

    PAGES: ClassVar[dict[str, str]] = {"face": "faces_face", "event": "events_event"}

    def __init__(self, label: str, stored: dict[str, Any]) -> None:
        kind = "face" if stored.get("face") else "event"
        known = stored.get(kind) or {}
        self.label, self.similarity, self.page = label, stored["similarity"], self.PAGES[kind]
        self.object_id = parse_uuid(str(known.get(f"{kind}_id")))
        self.name = known.get("user_data") or known.get("external_id") or self.object_id
        self.avatar = face_sample(sample_of_address(known.get("avatar") or ""))
