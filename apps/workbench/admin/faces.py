"""Pages of faces: one face with its person, similar faces and sightings; a selection that is moved, merged or split."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST, require_safe

from apps.accounts.adminbase.display import SAME_PERSON, found_by_id, may_view, page_named, similarity_bar
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.filters.enums import ObjectType
from apps.common.parts import EVENTS, IMAGE_STORE, part_is_on
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.models import Face, List, ListFace
from apps.imagestore.admin import Picture, thumbnail
from apps.imagestore.models import StoredObject
from apps.imagestore.services import pictures_view
from apps.workbench.admin.pages import actor_of, page, refusal_shown, show
from apps.workbench.admin.photographs import LISTS_SHOWN, candidate_name
from apps.workbench.errors import WorkbenchError
from apps.workbench.faces import (
    MAX_FACES,
    Change,
    Seen,
    change_undo,
    face_edit,
    faces_merge,
    faces_move,
    faces_split,
    person_faces,
    state_of,
)
from apps.workbench.sightings import Sighting, face_sightings, faces_similar, sighting_photograph

VIEW, CHANGE = "faces.view_face", "faces.change_face"
EVENTS_VIEW, PICTURES_VIEW = "events.view_event", "imagestore.view_storedobject"
SIMILAR_SHOWN = 12
SIGHTINGS_SHOWN = 24
UNDO_S = 3600
SALT = "luna.workbench.change"


@page(VIEW)
@require_safe
def face_page(request: HttpRequest, face_id: UUID) -> HttpResponse:
    """Show a face with its form, the faces of its person, similar faces and sightings."""
    rows = Face.everything.select_related("account", "attribute")
    face: Face = get_object_or_404(rows, face_id=face_id)
    threshold = _threshold(request)
    person = person_faces(account_id=face.account_id, faces=[face]) if face.external_id else [face]
    similar, problem = _similar(face)
    sees_events = may_view(request.user, Event) and part_is_on(EVENTS)
    sightings = (
        face_sightings(account_id=face.account_id, face_id=face.face_id, threshold=threshold, limit=SIGHTINGS_SHOWN)
        if sees_events
        else []
    )
    of_faces = page_named("faces_face").pictures_by_id({each.object_id for each in similar})
    of_faces |= {each.face_id: picture for each in person if (picture := page_named("faces_face").picture_of(each))}
    of_events = {
        each.event.event_id: picture
        for each in sightings
        if (picture := page_named("events_event").picture_of(each.event))
    }
    thumbnails = _thumbnails(request, face, {**of_faces, **of_events})
    known = {each.face_id for each in person}
    return show(
        request,
        "admin/workbench/face.html",
        _("Face: %s") % (face.user_data or face),
        face=face,
        state=state_of(face.last_update_time),
        picture=thumbnails(face.face_id, face, large=True),
        lists=_lists_of(request, face),
        person=[_shown(each, thumbnails) for each in person],
        similar=[
            {
                "face_id": each.object_id,
                "name": candidate_name(each),
                "picture": thumbnails(each.object_id, candidate_name(each)),
                "similarity": similarity_bar(each.similarity),
                "weak": each.similarity < SAME_PERSON,
                "same": each.object_id in known,
            }
            for each in similar
        ],
        problem=problem,
        sightings=[
            {
                "event": each.event,
                "link": found_by_id("events_event", each.event.event_id, _("event"), viewer=request.user),
                "picture": thumbnails(each.event.event_id, _("sighting at %s") % (each.event.source or "—")),
                "similarity": None if each.similarity is None else similarity_bar(each.similarity),
                "has_photograph": each.has_photograph and may_view(request.user, StoredObject),
            }
            for each in sightings
        ],
        sees_events=sees_events,
        threshold=f"{threshold:.2f}",
        may_change=request.user.has_perm(CHANGE),
    )


def _threshold(request: HttpRequest) -> float:
    try:
        return min(max(float(request.GET.get("threshold", SAME_PERSON)), 0.0), 1.0)
    except ValueError:
        return SAME_PERSON


def _similar(face: Face) -> tuple[list[Any], str]:
    """Return the most similar faces, or the reason why there are none."""
    try:
        return faces_similar(account_id=face.account_id, face_id=face.face_id, limit=SIMILAR_SHOWN), ""
    except LunaError as error:
        return [], refusal_shown(error)


def _thumbnails(request: HttpRequest, face: Face, pictures: dict[UUID, Picture]) -> Any:
    """Return a function that renders pictures by the id of their object, and write one audit line for them."""
    allowed = pictures if may_view(request.user, StoredObject) else {}
    if allowed:
        shown = {picture.object_id: face.account_id for picture in allowed.values()}
        pictures_view(page=f"face {face.face_id}", pictures=shown, actor=actor_of(request))

    def rendered(object_id: UUID, alt: object, *, large: bool = False) -> Any:
        return thumbnail(allowed.get(object_id), alt, user=request.user, large=large)

    return rendered


def _shown(face: Face, thumbnails: Any) -> dict[str, Any]:
    return {"face": face, "picture": thumbnails(face.face_id, face), "state": state_of(face.last_update_time)}


def _lists_of(request: HttpRequest, face: Face) -> list[tuple[List, bool]]:
    """Return the lists of the account, newest first, each with whether the face is in it."""
    if not may_view(request.user, List):
        return []
    lists = List.objects.for_account(face.account_id).order_by("-pk")[:LISTS_SHOWN]
    members = set(ListFace.objects.filter(face=face).values_list("list_id", flat=True))
    return [(each, each.pk in members) for each in lists]


@page(VIEW, CHANGE)
@require_POST
def face_save(request: HttpRequest, face_id: UUID) -> HttpResponse:
    """Save name, external id and lists of a face. Lists that the page did not show stay as they are."""
    face: Face = get_object_or_404(Face.everything, face_id=face_id)
    shown, chosen = (set(_ids(request.POST.getlist(name))) for name in ("shown_list", "list"))
    if (shown or chosen) and not may_view(request.user, List):
        raise Http404
    face_edit(
        account_id=face.account_id,
        face_id=face_id,
        state=request.POST.get("state", ""),
        name=request.POST.get("name", ""),
        external_id=request.POST.get("external_id", ""),
        join=chosen,
        leave=shown - chosen,
        actor=actor_of(request),
    )
    messages.success(request, _("The face is saved."))
    return HttpResponseRedirect(reverse("workbench:face", args=(face_id,)))


@page(VIEW)
@require_GET
def selection(request: HttpRequest) -> HttpResponse:
    """Show chosen faces (`?face=`) and all faces of their people, with the forms that merge, split and move them."""
    chosen = _ids(request.GET.getlist("face"))
    if not 1 <= len(chosen) <= MAX_FACES:
        raise WorkbenchError(_("Choose 1 to %d faces.") % MAX_FACES)
    faces = list(Face.everything.filter(face_id__in=chosen))
    if not faces:
        raise Http404
    accounts = {face.account_id for face in faces}
    if len(accounts) > 1:
        raise WorkbenchError(_("The faces belong to different accounts."))
    people = person_faces(account_id=accounts.pop(), faces=faces)
    first = next((face for key in chosen for face in people if face.face_id == key), people[0])
    page_of_faces = page_named("faces_face")
    pictures = {each.face_id: picture for each in people if (picture := page_of_faces.picture_of(each))}
    thumbnails = _thumbnails(request, first, pictures)
    names = dict.fromkeys(each.user_data for each in (first, *people) if each.user_data)
    external_ids = dict.fromkeys(each.external_id for each in (first, *people) if each.external_id)
    return show(
        request,
        "admin/workbench/selection.html",
        _("Chosen faces"),
        owner=first.account,
        people=[{**_shown(each, thumbnails), "chosen": each.face_id in chosen} for each in people],
        names=list(names),
        external_ids=list(external_ids),
        lists=[each for each, _in in _lists_of(request, first)],
        may_change=request.user.has_perm(CHANGE),
    )


@page(VIEW, CHANGE)
@require_POST
def selection_decide(request: HttpRequest) -> HttpResponse:
    """Merge, split or move the chosen faces of a form, and show the result with its undoing."""
    account_id, seen = _seen(request)
    decision = request.POST.get("decide")
    name, actor = request.POST.get("name", ""), actor_of(request)
    if decision == "merge":
        external_id = request.POST.get("external_id", "")
        change = faces_merge(account_id=account_id, seen=seen, name=name, external_id=external_id, actor=actor)
        return _done(request, change, _("The faces are one person now."))
    if decision == "split":
        change = faces_split(account_id=account_id, seen=seen, name=request.POST.get("other", ""), actor=actor)
        return _done(request, change, _("The chosen faces are another person now."))
    if decision != "move" or not may_view(request.user, List):
        raise Http404
    join, leave = (_ids([request.POST.get(name, "")]) for name in ("join", "leave"))
    if not seen or not (join or leave):
        raise WorkbenchError(_("Choose faces and a list."))
    faces_move(account_id=account_id, face_ids=list(seen), join=join, leave=leave)
    messages.success(request, _("The lists of the chosen faces are changed."))
    return HttpResponseRedirect(_place_of(seen))


def _seen(request: HttpRequest) -> tuple[UUID, Seen]:
    """Return account and states of the chosen faces of a form."""
    account_id = parse_uuid(request.POST.get("owner", ""))
    chosen = _ids(request.POST.getlist("face"))
    if account_id is None:
        raise WorkbenchError(_("The page is incomplete. Load it again."))
    return account_id, {face_id: request.POST.get(f"state_{face_id}", "") for face_id in chosen}


def _done(request: HttpRequest, change: Change, sentence: str) -> HttpResponse:
    """Show a changed selection with the button that undoes the change. The change itself is in the page, signed."""
    people = Face.objects.for_account(change.account_id).filter(face_id__in=[each.face_id for each in change.faces])
    return show(
        request,
        "admin/workbench/changed.html",
        sentence,
        sentence=sentence,
        faces=list(people.order_by("pk")),
        change=signing.dumps(change.json(), salt=SALT, compress=True),
    )


@page(VIEW, CHANGE)
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Undo the signed change of a form."""
    try:
        stored = signing.loads(request.POST.get("change", ""), salt=SALT, max_age=UNDO_S)
    except signing.SignatureExpired as error:
        raise WorkbenchError(_("This decision is too old to be undone here.")) from error
    except signing.BadSignature as error:
        raise WorkbenchError(_("The page is incomplete. Load it again.")) from error
    change = Change.of_json(stored)
    change_undo(change=change, actor=actor_of(request))
    messages.success(request, _("The decision is undone."))
    return HttpResponseRedirect(_place_of([each.face_id for each in change.faces]))


@page(EVENTS_VIEW, PICTURES_VIEW, parts=(EVENTS, IMAGE_STORE))
@require_GET
def sighting_page(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Show the source photograph of an event with the box of its face."""
    event: Event = get_object_or_404(Event.everything.select_related("account"), event_id=event_id)
    return show(
        request,
        "admin/workbench/sighting.html",
        _("Sighting"),
        event=event,
        has_photograph=Sighting(event, None).has_photograph,
        link=found_by_id("events_event", event.event_id, event.event_id, viewer=request.user),
        face_id=_seen_face(event),
    )


def _seen_face(event: Event) -> UUID | None:
    """Return the face that an event shows: its most similar one, else the one that it stored."""
    similar = event.top_similar_object_id if event.top_similar_object_type == ObjectType.FACE else None
    face_id = similar or event.face_id
    exists = face_id and Face.objects.for_account(event.account_id).filter(face_id=face_id).exists()
    return face_id if exists else None


@page(EVENTS_VIEW, PICTURES_VIEW, parts=(EVENTS, IMAGE_STORE))
@require_GET
@cache_control(no_store=True)
def sighting_jpeg(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Answer with the source photograph of an event, with boxes. It leaves one audit line."""
    try:
        jpeg = sighting_photograph(scope=Scope(None), event_id=event_id, actor=actor_of(request))
    except LunaError as error:
        raise Http404("there is no such photograph") from error
    return HttpResponse(jpeg, content_type="image/jpeg", headers={"X-Content-Type-Options": "nosniff"})


def _ids(texts: Iterable[str]) -> list[UUID]:
    return list(dict.fromkeys(found for text in texts if (found := parse_uuid(text))))


def _place_of(face_ids: Iterable[UUID]) -> str:
    return reverse("workbench:selection") + "?" + "&".join(f"face={each}" for each in face_ids)
