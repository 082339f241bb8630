"""Pages that create, edit, copy and try handlers and verifiers, by form and by JSON."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.adminbase.display import found_by_id, may_view, similarity_bar
from apps.accounts.adminbase.nodes import ADD, REMOVE, rearrange
from apps.accounts.auth.principal import Actor, Principal
from apps.accounts.choices import VisibilityArea
from apps.accounts.models import Account
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.parts import HANDLERS, part_check
from apps.common.refusals import refusal_text
from apps.events.models import Event
from apps.faces.models import Face, List
from apps.handlers.choices import HandlerType
from apps.handlers.filters import MAX_DESCRIPTION_CHARACTERS
from apps.handlers.models import Handler, Verifier
from apps.handlers.policies import PoliciesSerializer
from apps.handlers.policies.filled import policies_filled, verifier_policies_filled
from apps.handlers.policies.verifier import VerifierPoliciesSerializer
from apps.handlers.secrets import policies_mask
from apps.handlers.services import (
    HandlerDraft,
    VerifierDraft,
    handler_create,
    handler_replace,
    verifier_create,
    verifier_replace,
)
from apps.recognition.inputs.types import Inputs
from apps.workbench.admin.pages import account_chosen, actor_of, page, show
from apps.workbench.errors import WorkbenchError
from apps.workbench.forms.building import data_of, form_of, problem_of, problems_of
from apps.workbench.trials import Trial, handler_try, verifier_try
from apps.workbench.uploads import inputs_of

POLICIES, DESCRIPTION = "policies", "description"
FORM, JSON = "form", "json"
LISTS_SHOWN = 500


@dataclass(slots=True)
class Draft:
    """What the page shows: unsaved contents with their problems by path, and the result of a trial."""

    description: str = ""
    dynamic: bool = False
    policies: Any = field(default_factory=dict)
    mode: str = FORM
    text: str = ""  # of the JSON editor, if it is not valid JSON
    problems: dict[str, str] = field(default_factory=dict)
    trial: Trial | None = None
    faces: str = ""  # ids of the faces of a verifier's trial, one a line


@dataclass(frozen=True, slots=True)
class Kind:
    """Handlers or verifiers: their model, serializer, services and names of pages."""

    name: str
    model: Any
    serializer: Any
    create: Callable[[Principal, Draft, Actor], Any]
    replace: Callable[[Principal, UUID, Draft, Actor], Any]
    stored: Callable[[Any], Any]
    filled: Callable[[Any], Any]
    titles: Callable[[], Mapping[str, str]]


def _create_handler(principal: Principal, draft: Draft, actor: Actor) -> Any:
    return handler_create(principal=principal, draft=_handler(draft), actor=actor)


def _replace_handler(principal: Principal, key: UUID, draft: Draft, actor: Actor) -> None:
    handler_replace(principal=principal, handler_id=key, draft=_handler(draft), actor=actor)


def _handler(draft: Draft) -> HandlerDraft:
    if draft.dynamic:
        return HandlerDraft(description=draft.description, handler_type=HandlerType.DYNAMIC)
    return HandlerDraft(description=draft.description, policies=draft.policies)


def _create_verifier(principal: Principal, draft: Draft, actor: Actor) -> Any:
    created = VerifierDraft(description=draft.description, policies=draft.policies)
    return verifier_create(account_id=principal.account_id, draft=created, actor=actor)


def _replace_verifier(principal: Principal, key: UUID, draft: Draft, actor: Actor) -> None:
    replaced = VerifierDraft(description=draft.description, policies=draft.policies)
    verifier_replace(account_id=principal.account_id, verifier_id=key, draft=replaced, actor=actor)


HANDLER = Kind(
    name="handler",
    model=Handler,
    serializer=PoliciesSerializer,
    create=_create_handler,
    replace=_replace_handler,
    stored=lambda row: policies_mask(row.policies),
    filled=policies_filled,
    titles=lambda: {"add": _("New handler"), "edit": _("Handler"), "copy": _("Copy of a handler")},
)
VERIFIER = Kind(
    name="verifier",
    model=Verifier,
    serializer=VerifierPoliciesSerializer,
    create=_create_verifier,
    replace=_replace_verifier,
    stored=lambda row: row.policies,
    filled=verifier_policies_filled,
    titles=lambda: {"add": _("New verifier"), "edit": _("Verifier"), "copy": _("Copy of a verifier")},
)


@page("handlers.add_handler")
def handler_add(request: HttpRequest) -> HttpResponse:
    """Create a handler in the chosen account."""
    return _edited(request, HANDLER, None, "add")


@page("handlers.change_handler")
def handler_edit(request: HttpRequest, key: UUID) -> HttpResponse:
    """Edit a handler."""
    return _edited(request, HANDLER, key, "edit")


@page("handlers.add_handler", "handlers.view_handler")
def handler_copy(request: HttpRequest, key: UUID) -> HttpResponse:
    """Create a handler from another one, in its account."""
    return _edited(request, HANDLER, key, "copy")


@page("handlers.add_verifier")
def verifier_add(request: HttpRequest) -> HttpResponse:
    """Create a verifier in the chosen account."""
    return _edited(request, VERIFIER, None, "add")


@page("handlers.change_verifier")
def verifier_edit(request: HttpRequest, key: UUID) -> HttpResponse:
    """Edit a verifier."""
    return _edited(request, VERIFIER, key, "edit")


@page("handlers.add_verifier", "handlers.view_verifier")
def verifier_copy(request: HttpRequest, key: UUID) -> HttpResponse:
    """Create a verifier from another one, in its account."""
    return _edited(request, VERIFIER, key, "copy")


def _edited(request: HttpRequest, kind: Kind, key: UUID | None, purpose: str) -> HttpResponse:
    part_check(HANDLERS)
    row = None if key is None else kind.model.everything.select_related("account").filter(pk=key).first()
    if key is not None and row is None:
        raise Http404("there is no such row")
    owner: Account = account_chosen(request) if row is None else row.account
    draft = _posted(request, kind) if request.method == "POST" else _first(kind, row, purpose)
    action = request.POST.get("do", "")
    if request.method == "POST" and _changed(kind, draft, action):
        if action == "try":
            _try(request, kind, owner, draft)
        elif (saved := _saved(request, kind, owner, row if purpose == "edit" else None, draft)) is not None:
            return saved
    lists = List.objects.for_account(owner.pk).order_by("-pk")[:LISTS_SHOWN] if may_view(request.user, List) else ()
    return show(
        request,
        "admin/workbench/policies.html",
        kind.titles()[purpose],
        draft=draft,
        kind=kind.name,
        owner=owner,
        is_new=row is None,
        back=_record(kind, row),
        form=form_of(kind.serializer, draft.policies, draft.problems, name=POLICIES, defaults=_defaults(kind, draft)),
        elsewhere=draft.problems.get("", "") or draft.problems.get(POLICIES, ""),
        text=draft.text or json.dumps(draft.policies, indent=2, ensure_ascii=False),
        problems=draft.problems,
        lists=lists,
        most=MAX_DESCRIPTION_CHARACTERS,
        trial=None if draft.trial is None else _shown(request, draft.trial),
        may_try=_may_try(request),
    )


def _defaults(kind: Kind, draft: Draft) -> Any:
    """Return the policies with their defaults; of invalid policies, the defaults of an object without members."""
    invalid = draft.problems or problems_of(kind.serializer, draft.policies, name=POLICIES)
    return kind.filled({} if invalid else draft.policies)


def _record(kind: Kind, row: Any) -> str:
    page_name = f"admin:handlers_{kind.name}"
    return reverse(f"{page_name}_changelist") if row is None else reverse(f"{page_name}_change", args=(row.pk,))


def _first(kind: Kind, row: Any, purpose: str) -> Draft:
    """Return the contents of a page that was just opened."""
    if row is None:
        return Draft()
    description = row.description if purpose == "edit" else _("Copy of %(name)s") % {"name": row.description or row.pk}
    dynamic = kind is HANDLER and row.handler_type == HandlerType.DYNAMIC
    return Draft(description[:MAX_DESCRIPTION_CHARACTERS], dynamic, kind.stored(row) or {})


def _posted(request: HttpRequest, kind: Kind) -> Draft:
    """Return the contents of the posted page. JSON that cannot be parsed stays as text, with its problem."""
    sent = request.POST
    draft = Draft(
        description=sent.get(DESCRIPTION, ""),
        dynamic=sent.get("dynamic") == "1" and kind is HANDLER,
        mode=JSON if sent.get("mode") == JSON else FORM,
        faces=sent.get("faces", ""),
    )
    if len(draft.description) > MAX_DESCRIPTION_CHARACTERS or "\0" in draft.description:
        draft.problems[DESCRIPTION] = _("At most %(most)d characters.") % {"most": MAX_DESCRIPTION_CHARACTERS}
    if draft.mode == FORM:
        draft.policies = data_of(kind.serializer, sent, name=POLICIES)
        return draft
    draft.text = sent.get("json", "")
    try:
        draft.policies = json.loads(draft.text)
    except (ValueError, RecursionError) as error:
        draft.problems[""] = _("This is not valid JSON: %(problem)s") % {"problem": error}
    else:
        if not isinstance(draft.policies, dict):
            draft.policies = {}
            draft.problems[""] = _("Policies are a JSON object.")
        else:
            draft.text = ""
    return draft


def _changed(kind: Kind, draft: Draft, action: str) -> bool:
    """Apply an action on the contents; return whether contents without a problem are to be saved or tried."""
    verb, _colon, path = action.partition(":")
    if verb in (ADD, REMOVE):
        if draft.mode == FORM and (steps := path.split(".")[1:]):
            rearrange(draft.policies, verb, steps)
        return False
    if verb in (FORM, JSON):
        if not draft.text:
            draft.mode = verb
        return False
    if not draft.problems and not draft.dynamic:
        draft.problems = problems_of(kind.serializer, draft.policies, name=POLICIES)
    return not draft.problems


def _owner_principal(owner: Account) -> Principal:
    """Return the owner with a password's rights: a page stores and tries what the owner may store and try."""
    return Principal(owner.pk, owner.account_type, owner.login, visibility_area=VisibilityArea.ALL)


def _saved(request: HttpRequest, kind: Kind, owner: Account, row: Any, draft: Draft) -> HttpResponse | None:
    principal, actor = _owner_principal(owner), actor_of(request)
    try:
        if row is None:
            row = kind.create(principal, draft, actor)
        else:
            kind.replace(principal, row.pk, draft, actor)
    except LunaError as error:
        draft.problems = problem_of(error)
        return None
    messages.success(request, _("Saved."))
    return HttpResponseRedirect(_record(kind, row))


def _may_try(request: HttpRequest) -> bool:
    """Return whether the user may see what a trial shows: faces and events that match."""
    return may_view(request.user, Face) and may_view(request.user, Event)


def _try(request: HttpRequest, kind: Kind, owner: Account, draft: Draft) -> None:
    if not _may_try(request):
        draft.problems["photograph"] = _("A trial needs the permission to view faces and events.")
        return
    files: list[UploadedFile[bytes]] = request.FILES.getlist("photograph")
    try:
        draft.trial = _tried(kind, _owner_principal(owner), draft, inputs_of(files))
    except WorkbenchError as error:
        draft.problems["photograph"] = str(error)
    except LunaError as error:
        draft.problems["photograph"] = refusal_text(error)


def _tried(kind: Kind, principal: Principal, draft: Draft, inputs: Inputs) -> Trial:
    if kind is HANDLER:
        names = {row.list_id: str(row) for row in List.objects.for_account(principal.account_id)[:LISTS_SHOWN]}
        return handler_try(principal=principal, policies=draft.policies, inputs=inputs, names=names)
    given = [parse_uuid(text.strip()) for text in draft.faces.split()]
    if not given or None in given:
        raise WorkbenchError(_("Name the faces to compare with by their ids, one a line."))
    face_ids = [face_id for face_id in given if face_id is not None]
    return verifier_try(principal=principal, policies=draft.policies, inputs=inputs, face_ids=face_ids)


def _shown(request: HttpRequest, trial: Trial) -> Mapping[str, Any]:
    """Return the trial for the template. Candidates are named without their pictures."""
    pictures = [
        {
            "picture": each,
            "persons": [
                {
                    "tried": person,
                    "candidates": [
                        {
                            "label": found.label,
                            "link": _link(request, found.match),
                            "similarity": similarity_bar(found.match.similarity),
                            "verified": found.verified,
                        }
                        for found in person.candidates
                    ],
                }
                for person in each.persons
            ],
        }
        for each in trial.pictures
    ]
    answer = None if trial.answer is None else json.dumps(trial.answer, indent=2, ensure_ascii=False, default=str)
    return {"pictures": pictures, "answer": answer, "total_ms": round(sum(trial.stage_ms.values()))}


def _link(request: HttpRequest, match: Any) -> Any:
    found = match.face or match.event
    name = "" if found is None else found.user_data or found.external_id
    route = "events_event" if match.event is not None else "faces_face"
    return found_by_id(route, match.object_id, name or None, viewer=request.user)
