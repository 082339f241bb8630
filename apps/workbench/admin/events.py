"""Pages of events: search by the filters of the API, the live wall, and the trail of one person."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import get_script_prefix, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounts.adminbase.display import SAME_PERSON, may_view, page_named, similarity_bar
from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import AdditionalServices, config
from apps.common.errors import LunaError
from apps.common.filters import SubscriptionSerializer
from apps.common.filters.words import filters_words
from apps.common.pages import page_policy
from apps.common.parts import EVENTS, part_check
from apps.common.scope import Scope
from apps.common.validation import kept
from apps.events.config import EventsSearch
from apps.events.models import Event
from apps.events.selectors import WINDOW_TERMS
from apps.faces.models import Face
from apps.handlers.words import rate_words
from apps.imagestore.admin import Picture, thumbnail
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.services import pictures_view
from apps.matching.types import Reference
from apps.sender.selectors import site_listener_of
from apps.sender.tickets import ticket_create
from apps.workbench.admin.pages import account_chosen, actor_of, page, refusal_shown, show
from apps.workbench.config import Map
from apps.workbench.errors import WorkbenchError
from apps.workbench.forms.building import data_of, form_of, problems_of
from apps.workbench.searches import EventSearch, events_search, grouped
from apps.workbench.trails import Trail, TrailQuery, positions_of, trail_of

WALL_CARDS = 60
AFTER = "after"


@page("events.view_event")
def events(request: HttpRequest) -> HttpResponse:
    """Search the events of the chosen account."""
    part_check(EVENTS)
    asked = data_of(EventSearch, request.GET)
    problems = problems_of(EventSearch, asked)
    rows: list[Mapping[str, Any]] = []
    sentences: list[str] = []
    following = ""
    if not problems:
        query = kept(EventSearch).run_validation(asked)
        account = account_chosen(request)
        found = events_search(
            scope=Scope(account.pk),
            filters=query["filters"],
            order=query["order"],
            after=request.GET.get(AFTER, ""),
        )
        record = page_named("events_event")
        rows = [{**row, "top_match": record.top_match(row["event"])} for row in _rows(request, found.events)]
        sentences = filters_words(query["filters"])
        if not WINDOW_TERMS & query["filters"].keys():
            days = config(EventsSearch).default_window_days
            sentences.append(_("of the last %(days)d days, because no time is given") % {"days": days})
        if found.following:
            following = _with(request, AFTER, found.following)
    return show(
        request,
        "admin/workbench/events.html",
        _("Search events"),
        form=grouped(form_of(EventSearch, asked, problems)),
        problems=problems,
        rows=rows,
        sentences=sentences,
        following=following,
        first=_with(request, AFTER, "") if request.GET.get(AFTER) else "",
        wall=f"{reverse('workbench:wall')}?{_with(request, AFTER, '')[1:]}",
    )


def _with(request: HttpRequest, name: str, value: str) -> str:
    """Return the query of this page with another value of a parameter, without it for an empty value."""
    query = request.GET.copy()
    query.pop(name, None)
    if value:
        query[name] = value
    return f"?{query.urlencode()}"


def _rows(request: HttpRequest, found: Iterable[Event]) -> list[Mapping[str, Any]]:
    """Return events for the template. Their pictures leave one audit line."""
    listed = list(found)
    shown = event_pictures(request, listed, page_name="events found")
    record = page_named("events_event")
    return [
        {
            "event": event,
            "picture": thumbnail(
                shown.get(event.event_id), _("picture of %(event)s") % {"event": event}, user=request.user
            ),
            "url": reverse("admin:events_event_change", args=(event.pk,)),
            "person": record.person(event),
            "tags": record.tag_names(event),
        }
        for event in listed
    ]


def event_pictures(request: HttpRequest, events: Iterable[Event], *, page_name: str) -> dict[UUID, Picture]:
    """Return the pictures of events by id, and write one audit line for them. Without the permission: none."""
    if not may_view(request.user, StoredObject):
        return {}
    record = page_named("events_event")
    found: dict[UUID, Picture] = {}
    owners: dict[UUID, UUID] = {}
    for event in events:
        if (picture := record.picture_of(event)) is not None:
            found[event.event_id], owners[picture.object_id] = picture, event.account_id
    pictures_view(page=page_name, pictures=owners, actor=actor_of(request))
    return found


@page("events.view_event")
def event_record(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Lead to the record of an event. Notifications may name an event that its handler does not store."""
    key = Event.everything.filter(event_id=event_id).values_list("pk", flat=True).first()
    if key is None:
        raise LunaError(errors.EVENT_NOT_FOUND, event_id)
    return HttpResponseRedirect(reverse("admin:events_event_change", args=(key,)))


@page("events.view_event")
def wall(request: HttpRequest) -> HttpResponse:
    """Show events of the chosen account as they happen. A script opens the websocket."""
    asked = data_of(SubscriptionSerializer, request.GET)
    problems = problems_of(SubscriptionSerializer, asked)
    sender_is_on = config(AdditionalServices).luna_sender
    response = show(
        request,
        "admin/workbench/wall.html",
        _("Live wall"),
        form=grouped(form_of(SubscriptionSerializer, asked, problems)),
        problems=problems,
        sender_is_on=sender_is_on,
        opened=sender_is_on and not problems,
        query=urlencode({name: _joined(value) for name, value in asked.items()}),
        sentences=[] if problems else filters_words(kept(SubscriptionSerializer).run_validation(asked)["filters"]),
        socket=f"{get_script_prefix()}6/ws",
        record=reverse("workbench:event", args=(UUID(int=0),)),
        picture=reverse("admin:imagestore_thumbnail", args=(Bucket.FACE_SAMPLES, UUID(int=0))),
        pictures=may_view(request.user, StoredObject),
        cards=WALL_CARDS,
        same_person=SAME_PERSON,
    )
    host = request.get_host()
    response["Content-Security-Policy"] = page_policy(request.path_info, connect=(f"ws://{host}", f"wss://{host}"))
    return response


def _joined(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@page("events.view_event")
@require_POST
def wall_ticket(request: HttpRequest) -> HttpResponse:
    """Answer with a ticket that opens one websocket with the events of the chosen account."""
    account = account_chosen(request)
    ticket = ticket_create(listener=site_listener_of(request.user, str(request.session.session_key)))
    return JsonResponse({"ticket": ticket, "account_id": str(account.pk)})


@page("events.view_event")
def trace(request: HttpRequest) -> HttpResponse:
    """Show where and when the person of a face or event was seen."""
    part_check(EVENTS)
    asked = data_of(TrailQuery, request.GET)
    problems = problems_of(TrailQuery, asked)
    query = {} if problems else kept(TrailQuery).run_validation(asked)
    if "face" in query and not may_view(request.user, Face):
        problems["face"] = _("The permission to view faces is missing.")
    reference = _reference(query)
    account, found = owner_of(request, _given(query, "face"), _given(query, "event")), None
    if not problems and reference is not None:
        try:
            found = _trail(account, query, reference)
        except (LunaError, WorkbenchError) as error:
            problems[""] = refusal_shown(error)
    response = show(
        request,
        "admin/workbench/trace.html",
        _("Trace a person"),
        account=account,
        form=form_of(TrailQuery, asked, problems),
        problems=problems,
        asked=reference is not None,
        trail=found,
        rows=[] if found is None else _sightings(request, found),
        rate="" if found is None else rate_words(found.rate),
        since=query.get("create_time__gte"),
        positions=[] if found is None else positions_of(found),
        map=config(Map),
    )
    tiles = urlsplit(config(Map).tiles_url)
    if tiles.netloc:
        response["Content-Security-Policy"] = page_policy(
            request.path_info, images=(f"{tiles.scheme}://{tiles.netloc}",)
        )  # fmt: skip
    return response


def _reference(query: Mapping[str, Any]) -> Reference | None:
    kind = next((kind for kind in ("face", "event") if kind in query), None)
    return None if kind is None else Reference(kind, str(query[kind]))


def _given(query: Mapping[str, Any], name: str) -> list[UUID]:
    return [query[name]] if name in query else []


def owner_of(request: HttpRequest, face_ids: Sequence[UUID], event_ids: Sequence[UUID]) -> Account:
    """Return the account of the first face or event, else the chosen one: people of two accounts are never mixed."""
    for model, column, ids in ((Face, "face_id", face_ids), (Event, "event_id", event_ids)):
        row: Any = model.everything.filter(**{column: ids[0]}).select_related("account").first() if ids else None
        if row is not None:
            owner: Account = row.account
            return owner
    return account_chosen(request)


def _trail(account: Account, query: Mapping[str, Any], reference: Reference) -> Trail:
    filters = {name: query[name] for name in ("create_time__gte", "create_time__lt", "sources") if name in query}
    return trail_of(
        scope=Scope(account.pk),
        reference=reference,
        kind=query["descriptor"],
        similarity=query["similarity"],
        filters=filters,
    )


def _sightings(request: HttpRequest, trail: Trail) -> list[Mapping[str, Any]]:
    rows = _rows(request, [each.event for each in trail.sightings])
    return [
        {**row, "number": number, "similarity": similarity_bar(each.similarity), "pause": each.pause}
        for number, (row, each) in enumerate(zip(rows, trail.sightings, strict=True), 1)
    ]
