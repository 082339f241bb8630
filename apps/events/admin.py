"""Read-only admin pages of events."""

import json
from typing import Any

from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from apps.accounts.adminbase import LunaAdmin
from apps.common.filters.enums import Emotion, EthnicGroup, Gender, Liveness, Mask
from apps.events.models import Event
from apps.imagestore.addresses import sample_of_address
from apps.imagestore.admin import thumbnail
from apps.imagestore.choices import Bucket

ESTIMATIONS = (
    ("gender", Gender),
    ("emotion", Emotion),
    ("mask", Mask),
    ("liveness", Liveness),
    ("ethnic_group", EthnicGroup),
)


@admin.register(Event)
class EventAdmin(LunaAdmin):
    """Read-only pages of events; events are immutable."""

    list_display = ("picture", "name", "account", "person", "top_match", "tag_names", "create_time")
    list_display_links = ("picture", "name")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("create_time", RangeDateTimeFilter),
        "gender",
        "emotion",
        "top_similar_object_type",
    )
    search_fields = ("=source", "=external_id", "=track_id", "user_data", "=top_matching_candidates_label")
    id_search_fields = ("event_id", "face_id", "handler_id", "account_id", "top_similar_object_id")
    search_help_text = "Source, external id, track, user data, label, or any id of the event"
    date_hierarchy = "create_time"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("large_picture", "person", "tag_names", "candidates")}),
        ("Where and when", {"fields": ("source", "create_time", "end_time", "insert_time", "track_id", "place")}),
        ("Record", {"fields": ("event_id", "account", "handler", "face", "external_id", "user_data", "lists",
                               "detections", "meta_text")}),
    )  # fmt: skip

    @staticmethod
    def _sample(event: Event) -> tuple[str | None, str]:
        for detections, bucket in (
            (event.face_detections, Bucket.FACE_SAMPLES),
            (event.body_detections, Bucket.BODY_SAMPLES),
        ):
            for detection in detections:
                if detection.get("sample_id"):
                    return detection["sample_id"], bucket
        return None, Bucket.FACE_SAMPLES

    @display(description="")
    def picture(self, event: Event) -> SafeString:
        return thumbnail(*self._sample(event))

    @display(description="picture")
    def large_picture(self, event: Event) -> SafeString:
        return thumbnail(*self._sample(event), large=True)

    @display(description="event", header=True)
    def name(self, event: Event) -> list[str]:
        return [event.source or event.user_data or "—", str(event.event_id)]

    @display(description="looks like")
    def person(self, event: Event) -> str:
        known = [numbers(getattr(event, name)).word.replace("_", " ") for name, numbers in ESTIMATIONS
                 if getattr(event, name) is not None]  # fmt: skip
        return ", ".join([*known, *([f"{event.age} years"] if event.age is not None else [])]) or "—"

    @display(description="resembles", ordering="top_similar_object_similarity")
    def top_match(self, event: Event) -> str | SafeString:
        if event.top_similar_object_similarity is None:
            return "—"
        return similarity_bar(event.top_similar_object_similarity, event.top_matching_candidates_label or "")

    @display(description="tags")
    def tag_names(self, event: Event) -> str | SafeString:
        return format_html_join(" ", '<span class="luna-tag">{}</span>', ((tag,) for tag in event.tags)) or "—"

    @display(description="candidates")
    def candidates(self, event: Event) -> str:
        rows = [
            {"label": match["label"], **_candidate(candidate)}
            for match in event.match_result
            for candidate in match["candidates"]
        ]
        return render_to_string("admin/luna/candidates.html", {"rows": rows}) if rows else "—"

    @display(description="place")
    def place(self, event: Event) -> str:
        parts = [event.city, event.area, event.district, event.street, event.house_number]
        if event.longitude is not None and event.latitude is not None:
            parts.append(f"{event.latitude:.5f}°, {event.longitude:.5f}°")
        return ", ".join(part for part in parts if part) or "—"

    @display(description="handler")
    def handler(self, event: Event) -> str | SafeString:
        return _found_by_id("handlers_handler", event.handler_id)

    @display(description="face")
    def face(self, event: Event) -> str | SafeString:
        return _found_by_id("faces_face", event.face_id)

    @display(description="attached to lists")
    def lists(self, event: Event) -> str | SafeString:
        links = ((_found_by_id("faces_list", list_id),) for list_id in event.attach_result)
        return format_html_join(", ", "{}", links) or "—"

    @display(description="detections")
    def detections(self, event: Event) -> SafeString:
        return _json({"face": event.face_detections, "body": event.body_detections})

    @display(description="meta")
    def meta_text(self, event: Event) -> str | SafeString:
        return "—" if event.meta is None else _json(event.meta)


def similarity_bar(similarity: float, label: str = "") -> SafeString:
    """Render a similarity 0..1 as a number and a bar."""
    text = f"{similarity:.3f} {label}".strip()
    return format_html(
        '<span class="luna-nowrap"><span class="luna-similarity"><i style="width:{}%"></i></span> {}</span>',
        f"{similarity * 100:.0f}",
        text,
    )


def _candidate(candidate: dict[str, Any]) -> dict[str, Any]:
    face, event = candidate.get("face") or {}, candidate.get("event") or {}
    known = face or event
    name = known.get("user_data") or known.get("external_id") or face.get("face_id") or event.get("event_id")
    link = (
        _found_by_id("faces_face", face.get("face_id"), name)
        if face
        else _found_by_id("events_event", event.get("event_id"), name)
    )
    return {
        "picture": thumbnail(sample_of_address(face.get("avatar") or "")),
        "link": link,
        "similarity": similarity_bar(candidate["similarity"]),
    }


def _found_by_id(page: str, object_id: Any, name: Any = None) -> str | SafeString:
    """Render a link to the search for an id, because the object may be deleted."""
    if object_id is None:
        return "—"
    url = reverse(f"admin:{page}_changelist")
    return format_html('<a href="{}?q={}" class="text-primary-600">{}</a>', url, object_id, name or object_id)


def _json(value: Any) -> SafeString:
    return format_html('<pre class="luna-json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))
