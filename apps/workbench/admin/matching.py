"""The matching dialog: references, candidates, results."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.accounts.adminbase.display import found_by_id, may_view, page_named, similarity_bar
from apps.accounts.adminbase.nodes import Group
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.filters.kinds import FiniteFloatField
from apps.common.scope import Scope
from apps.common.validation import kept
from apps.faces.models import Face, List
from apps.handlers.words import rate_words
from apps.imagestore.admin import Picture, thumbnail
from apps.imagestore.models import StoredObject
from apps.imagestore.services import pictures_view
from apps.matching.candidates import EVENTS, FACES, EventCandidateFilters, FaceCandidateFilters
from apps.workbench.admin.events import owner_of
from apps.workbench.admin.pages import actor_of, page, refusal_shown, show
from apps.workbench.dialog import (
    COUNTED,
    Answer,
    Asked,
    dialog_match,
    names_of,
    references_stored,
    references_uploaded,
)
from apps.workbench.errors import WorkbenchError
from apps.workbench.forms.building import data_of, form_of, problems_of
from apps.workbench.searches import grouped
from apps.workbench.uploads import inputs_of

FILTERS = "filters"
HIDDEN = ("filters.origin", "filters.account_id", "filters.list_id")
FACES_FOUND, LISTS_SHOWN, MAX_LISTS = 24, 500, 20
ORIGINS: Mapping[str, type[serializers.Serializer[Any]]] = {FACES: FaceCandidateFilters, EVENTS: EventCandidateFilters}


class DialogQuery(serializers.Serializer[Any]):
    """Descriptor, number of results and threshold."""

    descriptor = serializers.ChoiceField(choices=("face", "body"), default="face")
    limit = serializers.IntegerField(min_value=1, max_value=100, default=10)
    threshold = FiniteFloatField(min_value=0, max_value=1, default=0.7)


@page("faces.view_face", "events.view_event")
def dialog(request: HttpRequest) -> HttpResponse:
    """Match faces, events and uploaded photographs with faces or events of their account, else of the chosen one."""
    sent = request.POST if request.method == "POST" else request.GET
    origin = EVENTS if sent.get("origin") == EVENTS else FACES
    asked = data_of(DialogQuery, sent)
    filters = {**data_of(ORIGINS[origin], sent, name=FILTERS), "origin": origin}
    problems = {**problems_of(DialogQuery, asked), **problems_of(ORIGINS[origin], filters, name=FILTERS)}
    face_ids, event_ids = _ids(sent, "face", problems), _ids(sent, "event", problems)
    account = owner_of(request, face_ids, event_ids)
    scope = Scope(account.pk)
    list_ids = _ids(sent, "list", problems)[:MAX_LISTS] if origin == FACES else []
    answer, rows = None, []
    if request.POST.get("do") == "match" and not problems:
        query = kept(DialogQuery).run_validation(asked)
        try:
            references = references_stored(
                scope=scope, face_ids=face_ids, event_ids=event_ids, kind=query["descriptor"]
            )  # fmt: skip
            references += _uploaded(request, query["descriptor"], problems)
            answer = dialog_match(
                scope=scope,
                references=references,
                origin=origin,
                filters=kept(ORIGINS[origin]).run_validation(filters)["filters"],
                list_ids=list_ids,
                limit=query["limit"],
                threshold=query["threshold"],
            )
        except (LunaError, WorkbenchError) as error:
            problems[""] = refusal_shown(error)
        else:
            rows = _results(request, account.pk, answer)
    lists = List.objects.for_account(account.pk).order_by("-pk")[:LISTS_SHOWN] if may_view(request.user, List) else ()
    return show(
        request,
        "admin/workbench/match.html",
        _("Matching"),
        account=account,
        origin=origin,
        settings=form_of(DialogQuery, asked, problems),
        filters=_filters(origin, filters, problems),
        problems=problems,
        faces="\n".join(map(str, face_ids)),
        events="\n".join(map(str, event_ids)),
        lists=lists,
        chosen={str(each) for each in list_ids},
        words=sent.get("words", ""),
        found=_faces_found(request, account.pk, sent.get("words", "")),
        answer=answer,
        rows=rows,
        rate="" if answer is None else rate_words(answer.rate),
        counted=COUNTED,
    )


def _ids(sent: MultiValueDict[str, str], name: str, problems: dict[str, str]) -> list[UUID]:
    """Return the ids of a parameter, each once; a text that is none is a problem."""
    found: dict[UUID, None] = {}
    for text in " ".join(sent.getlist(name)).replace(",", " ").split():
        if (object_id := parse_uuid(text)) is None:
            problems[name] = _("“%(text)s” is no id.") % {"text": text[:80]}
        else:
            found[object_id] = None
    return list(found)


def _uploaded(request: HttpRequest, kind: Any, problems: dict[str, str]) -> list[Asked]:
    files = request.FILES.getlist("photograph")
    if not files:
        return []
    found, wrong = references_uploaded(inputs=inputs_of(files), kind=kind)
    problems |= wrong
    return found


def _filters(origin: str, data: Any, problems: Mapping[str, str]) -> Group:
    form = form_of(ORIGINS[origin], data, problems, name=FILTERS)
    shown = [child for child in form.children if child.name not in HIDDEN]
    kept_form = Group(name=form.name, label=form.label, error=form.error, children=shown)
    return grouped(kept_form) if origin == EVENTS else kept_form


def _faces_found(request: HttpRequest, account_id: UUID, text: str) -> Sequence[Mapping[str, Any]]:
    """Return faces whose name or external id contains a text, newest first. Their pictures leave one audit line."""
    text = text.strip()
    if not text or "\0" in text:
        return ()
    named = Q(user_data__icontains=text) | Q(external_id__icontains=text)
    rows = list(Face.objects.for_account(account_id).filter(named).order_by("-pk")[:FACES_FOUND])
    record = page_named("faces_face")
    pictures = {row.face_id: picture for row in rows if (picture := record.picture_of(row)) is not None}
    shown = _viewed(request, account_id, pictures, "faces to match")
    return [
        {
            "face": row,
            "picture": thumbnail(shown.get(row.face_id), _("face of %(name)s") % {"name": row}, user=request.user),
        }
        for row in rows
    ]


def _viewed(
    request: HttpRequest, account_id: UUID, pictures: Mapping[UUID, Picture], page_name: str
) -> Mapping[UUID, Picture]:
    """Return the pictures that the user may view, and write one audit line for them."""
    if not may_view(request.user, StoredObject):
        return {}
    owners = {picture.object_id: account_id for picture in pictures.values()}
    pictures_view(page=page_name, pictures=owners, actor=actor_of(request))
    return pictures


def _results(request: HttpRequest, account_id: UUID, answer: Answer) -> list[Mapping[str, Any]]:
    """Return the results for the template, with pictures of references and matches in one audit line."""
    matches = [result.match for _asked, results in answer.results for result in results]
    stored = {asked.probe.object_id: asked.probe.type for asked, _results in answer.results if asked.probe.object_id}
    faces = {each.object_id for each in matches if each.face} | {key for key, kind in stored.items() if kind == "face"}
    events = {each.object_id for each in matches if each.event} | {
        key for key, kind in stored.items() if kind == "event"
    }
    pictures: dict[UUID, Picture] = {}
    for record, ids in (("faces_face", faces), ("events_event", events)):
        pictures |= page_named(record).pictures_by_id(ids) if ids else {}
    shown, names = _viewed(request, account_id, pictures, "matching dialog"), names_of(matches)
    list_ids = {result.list_id for _asked, results in answer.results for result in results if result.list_id}
    lists = {row.list_id: str(row) for row in List.objects.for_account(account_id).filter(list_id__in=list_ids)}
    return [
        {
            "asked": asked,
            "picture": thumbnail(shown.get(asked.probe.object_id), asked.name, user=request.user)
            if asked.probe.object_id
            else "",
            "results": [
                {
                    "picture": thumbnail(
                        shown.get(each.match.object_id), names[each.match.object_id], user=request.user
                    ),
                    "link": found_by_id(
                        "faces_face" if each.match.face else "events_event",
                        each.match.object_id,
                        names[each.match.object_id],
                        viewer=request.user,
                    ),
                    "kind": "face" if each.match.face else "event",
                    "id": each.match.object_id,
                    "similarity": similarity_bar(each.match.similarity),
                    "rate": rate_words(each.rate, at_most=each.at_most),
                    "list": lists.get(each.list_id, "") if each.list_id else "",
                    "event": each.match.event,
                }
                for each in results
            ],
        }
        for asked, results in answer.results
    ]
