"""Pages Try and Enrol: photographs of the operator's browser, one request each."""

import base64
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.adminbase.display import SAME_PERSON, may_view, page_named, similarity_bar
from apps.accounts.auth.principal import Actor
from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.limits import image_too_large
from apps.common.parts import HANDLERS
from apps.faces.models import List
from apps.handlers.config import HandlersLimits
from apps.handlers.types import GeneratedEvent
from apps.imagestore.admin import BOX, Picture, thumbnail
from apps.imagestore.models import StoredObject
from apps.imagestore.services import pictures_view
from apps.matching.types import Match
from apps.recognition.encoding import warp_bytes
from apps.recognition.types import Face, ImageInput, Rect
from apps.workbench.admin.pages import account_chosen, account_of_form, actor_of, page, principal_of, show
from apps.workbench.errors import WorkbenchError
from apps.workbench.estimates import face_estimates
from apps.workbench.photographs import Enrolled, photograph_refusal, photograph_try, photographs_enrol

FACES_VIEW, FACES_ADD = "faces.view_face", "faces.add_face"
LISTS_SHOWN = 500


@page(FACES_VIEW, parts=(HANDLERS,))
@require_safe
def try_page(request: HttpRequest) -> HttpResponse:
    """Show the page on which photographs are dropped."""
    return show(request, "admin/workbench/try.html", _("Try photographs"), **_choices(request))


@page(FACES_ADD, parts=(HANDLERS,))
@require_safe
def enrol_page(request: HttpRequest) -> HttpResponse:
    """Show the page on which photographs are enrolled as they are dropped."""
    most = config(HandlersLimits).received_images_limit
    return show(request, "admin/workbench/enrol.html", _("Enrol photographs"), most=most, **_choices(request))


@page(FACES_VIEW, part=True, parts=(HANDLERS,))
@require_POST
def try_photograph(request: HttpRequest) -> HttpResponse:
    """Answer with the card of one photograph: boxes, estimations, matches, and forms that enrol its faces."""
    account = account_of_form(request)
    try:
        images = _images(request)
        if len(images) > 1:
            raise WorkbenchError(_("The page is incomplete. Load it again."))
        image = images[0]
        run = photograph_try(
            principal=principal_of(account),
            image=image,
            list_id=_chosen_list(request, "candidates"),
            detailed=request.POST.get("detailed") == "on",
        )
    except LunaError as error:
        return _refused(request, error)
    result = run.results[0]
    pictures = _candidate_pictures(request, account, run.events)
    faces = [
        _face_shown(number, face, event, pictures, request.user)
        for number, event in enumerate(run.events, 1)
        if (face := event.persons[0].face) is not None
    ]
    return render(
        request,
        "admin/workbench/photograph.html",
        {"name": image.filename, "width": result.width, "height": result.height, "faces": faces, **_choices(request)},
    )


@page(FACES_ADD, part=True, parts=(HANDLERS,))
@require_POST
def enrol_photographs(request: HttpRequest) -> HttpResponse:
    """Enrol the photographs of the request as one face, and answer with its card."""
    account, face_id = account_of_form(request), parse_uuid(request.POST.get("face_id", ""))
    if face_id is None:
        raise WorkbenchError(_("The page is incomplete. Load it again."))
    try:
        images = _images(request)
        name = request.POST.get("name", "").strip() or images[0].filename.rpartition(".")[0] or images[0].filename
        enrolled = photographs_enrol(
            principal=principal_of(account),
            images=images,
            face_id=face_id,
            name=name,
            external_id="" if request.POST.get("mode") == "each" else request.POST.get("external_id", ""),
            list_ids=[each for each in (_chosen_list(request, "list"),) if each],
        )
    except LunaError as error:
        return _refused(request, error)
    return render(request, "admin/workbench/enrolled.html", _enrolled_shown(request, account, enrolled, name))


def _refused(request: HttpRequest, error: LunaError) -> HttpResponse:
    if error.status >= 500:  # it is not the photograph's fault: `page` decides
        raise error
    return render(request, "admin/workbench/refusal.html", {"refusal": photograph_refusal(error)})


def _choices(request: HttpRequest) -> dict[str, Any]:
    """Return the lists of the account, newest first, and whether the operator may enrol."""
    lists = List.objects.for_account(account_chosen(request).pk).order_by("-pk")[:LISTS_SHOWN]
    return {
        "lists": lists if may_view(request.user, List) else (),
        "may_enrol": request.user.has_perm(FACES_ADD),
    }


def _chosen_list(request: HttpRequest, field: str) -> UUID | None:
    text = request.POST.get(field, "")
    if not text:
        return None
    list_id = parse_uuid(text)
    if list_id is None or not may_view(request.user, List):
        raise LunaError(errors.LIST_NOT_FOUND, text)
    return list_id


def _images(request: HttpRequest) -> list[ImageInput]:
    """Return the photographs of a form, with the box that the operator chose. Raises LunaError NO_DATA without any."""
    files = request.FILES.getlist("photograph")
    if not files:
        raise LunaError(errors.NO_DATA)
    box = _box(request)
    return [ImageInput(data=_bytes(file), filename=f"{file.name}", face_boxes=box) for file in files]


def _bytes(file: "UploadedFile[Any]") -> bytes:
    if (file.size or 0) > config(Images).max_bytes:
        raise image_too_large()
    data: bytes = file.read()
    if not data:
        raise LunaError(errors.NO_DATA)
    return data


def _box(request: HttpRequest) -> tuple[Rect, ...]:
    text = request.POST.get("box", "")
    if not text:
        return ()
    if not BOX.fullmatch(text):
        raise WorkbenchError(_("The page is incomplete. Load it again."))
    return (Rect(*map(int, text.split(","))),)


def _matches(event: GeneratedEvent) -> tuple[Match, ...]:
    return event.matches[0].matches if event.matches else ()


def _candidate_pictures(
    request: HttpRequest, account: Account, events: tuple[GeneratedEvent, ...]
) -> dict[UUID, Picture]:
    """Return the pictures of matched faces by id, with one audit line for all of them."""
    ids = {match.object_id for event in events for match in _matches(event)}
    return face_pictures(request.user, account.pk, ids, page="tried photograph", actor=actor_of(request))


def face_pictures(user: Any, account_id: UUID, face_ids: set[UUID], *, page: str, actor: Actor) -> dict[UUID, Picture]:
    """Return the pictures of faces of one account by id, and write one audit line for them; none without the right."""
    if not face_ids or not may_view(user, StoredObject):
        return {}
    found: dict[UUID, Picture] = page_named("faces_face").pictures_by_id(face_ids)
    if found:
        pictures = {picture.object_id: account_id for picture in found.values()}
        pictures_view(page=page, pictures=pictures, actor=actor)
    return found


def _face_shown(
    number: int, face: Face, event: GeneratedEvent, pictures: dict[UUID, Picture], user: Any
) -> dict[str, Any]:
    return {
        "number": number,
        "rect": face.rect,
        "landmarks": _points(face),
        "crop": base64.b64encode(warp_bytes(face.warp)).decode(),
        "estimates": face_estimates(face),
        "described": event.descriptor is not None,
        "candidates": [
            {
                "face_id": match.object_id,
                "name": candidate_name(match),
                "picture": thumbnail(pictures.get(match.object_id), candidate_name(match), user=user),
                "similarity": similarity_bar(match.similarity),
                "weak": match.similarity < SAME_PERSON,
            }
            for match in _matches(event)
        ],
    }


def candidate_name(match: Match) -> str:
    """Return what a face is called."""
    face = match.face
    return (face.user_data or face.external_id or str(face.face_id)) if face else str(match.object_id)


def _points(face: Face) -> list[tuple[float, float]]:
    return [(round(float(x), 1), round(float(y), 1)) for x, y in face.landmarks5]


def _enrolled_shown(request: HttpRequest, account: Account, enrolled: Enrolled, name: str) -> dict[str, Any]:
    ids = {enrolled.face_id}
    pictures = face_pictures(request.user, account.pk, ids, page="enrolled photographs", actor=actor_of(request))
    return {
        "enrolled": enrolled,
        "name": name,
        "picture": thumbnail(pictures.get(enrolled.face_id), name, user=request.user),
    }
