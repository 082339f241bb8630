"""Admin page of unknown people: groups of events that an operator names, merges and splits."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.contrib.filters.admin import AutocompleteSelectFilter, BooleanRadioFilter, RangeDateTimeFilter
from unfold.decorators import action, display

from apps.accounts.adminbase import refusals_shown
from apps.accounts.adminbase.display import found_by_id, may_view, page_named, similarity_bar
from apps.accounts.auth.access import actor_of
from apps.common.fields import parse_uuid
from apps.common.parts import EVENTS
from apps.faces.models import List
from apps.imagestore.admin import Picture, PicturesAdmin, thumbnail
from apps.imagestore.models import StoredObject
from apps.imagestore.services import pictures_view
from apps.people.grouping import PeopleError
from apps.people.models import DecisionKind, Person, PersonDecision
from apps.people.selectors import Member, people_similar, person_last_decision, person_members
from apps.people.services import decision_undo, people_apart, people_merge, person_name, person_split

MEMBERS_SHOWN = 120
LISTS_SHOWN = 500
SIMILAR_SHOWN = 12


@admin.register(Person)
class PersonAdmin(PicturesAdmin):
    """Groups of events, largest first. Selected groups are merged; a group's page names and splits it."""

    parts = (EVENTS,)
    may_change = True

    list_display = ("picture", "title", "account", "event_count", "state", "last_seen")
    list_display_links = ("picture", "title")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("decided", BooleanRadioFilter),
        ("last_seen", RangeDateTimeFilter),
    )
    search_fields = ("name", "account__login")
    id_search_fields = ("person_id", "face_id", "events__event_id", "account_id")
    search_help_text = _lazy("A part of name or login; or an id of group, event, face or account")
    ordering = ("-event_count", "-id")
    actions = ("merge",)

    def picture_of(self, row: Any) -> Picture | None:
        cover: Picture | None = getattr(row, "cover", None)
        return cover

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        if not rows and not request.GET:
            messages.info(request, _("There are no groups yet. The command `manage.py people propose` makes them."))
        covers = page_named("events_event").pictures_by_id({row.cover_event_id for row in rows if row.cover_event_id})
        for row in rows:
            row.cover = covers.get(row.cover_event_id)
        super().rows_shown(request, rows)

    @display(description=_lazy("person"), ordering="name", header=True)
    def title(self, person: Person) -> list[str]:
        return [person.name or "—", str(person.person_id)]

    @display(description=_lazy("decided"), boolean=True, ordering="decided")
    def state(self, person: Person) -> bool:
        return person.decided

    @action(description=_lazy("Merge selected groups"), permissions=["change"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Person]) -> HttpResponse | None:
        """Merge the groups, which must be of one account. The page of the result has the button that undoes it."""
        rows = list(queryset)
        accounts = {row.account_id for row in rows}
        if len(accounts) > 1:
            messages.error(request, _("The groups belong to different accounts."))
            return None
        account_id = accounts.pop()
        decision = _decide(
            request,
            _("The groups are merged."),
            lambda: people_merge(
                account_id=account_id, person_ids=[row.person_id for row in rows], actor=actor_of(request)
            ),
        )
        return None if decision is None else HttpResponseRedirect(_page_of(decision))

    @refusals_shown
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the events of a group; POST decides about it."""
        person: Person | None = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, person):
            raise PermissionDenied
        if person is None:
            raise Http404("there is no such group")
        if request.method == "POST":
            if not self.has_change_permission(request, person):
                raise PermissionDenied
            return self._decided(request, person)
        return render(request, "admin/luna/person.html", self._context(request, person))

    def _decided(self, request: HttpRequest, person: Person) -> HttpResponse:
        form, actor = request.POST, actor_of(request)
        chosen = [event_id for text in form.getlist("event") if (event_id := parse_uuid(text))]
        others = [person_id for text in form.getlist("other") if (person_id := parse_uuid(text))]
        decisions: dict[str, tuple[str, Callable[[], Any]]] = {
            "name": (
                _("The group is named, and its face is enrolled."),
                lambda: person_name(
                    account_id=person.account_id,
                    person_id=person.person_id,
                    name=form.get("name", ""),
                    list_id=parse_uuid(form.get("list", "")),
                    event_id=chosen[0] if chosen else None,
                    actor=actor,
                ),
            ),
            "split": (
                _("The chosen events are a group of their own."),
                lambda: person_split(
                    account_id=person.account_id, person_id=person.person_id, event_ids=chosen, actor=actor
                ),
            ),
            "merge": (
                _("The groups are merged."),
                lambda: people_merge(account_id=person.account_id, person_ids=[person.person_id, *others], actor=actor),
            ),
            "apart": (
                _("The groups are different people: later runs keep them apart."),
                lambda: people_apart(account_id=person.account_id, person_ids=[person.person_id, *others], actor=actor),
            ),
            "undo": (
                _("The decision is undone."),
                lambda: decision_undo(
                    account_id=person.account_id, decision_id=_number(form.get("decision", "")), actor=actor
                ),
            ),
        }
        if (decision := decisions.get(form.get("decide", ""))) is not None:
            made = _decide(request, *decision)
            if isinstance(made, PersonDecision) and made.kind == DecisionKind.MERGE:
                return HttpResponseRedirect(_page_of(made))
        there = Person.everything.filter(pk=person.pk).exists()
        page = reverse("admin:people_person_change", args=(person.pk,))
        return HttpResponseRedirect(page if there else reverse("admin:people_person_changelist"))

    def _context(self, request: HttpRequest, person: Person) -> dict[str, Any]:
        start = _number(request.GET.get("from", ""))
        members = person_members(person=person, limit=MEMBERS_SHOWN, after=start)
        shown = self._pictures(request, person, members)
        following = start + MEMBERS_SHOWN
        similar = people_similar(person=person, limit=SIMILAR_SHOWN)
        covers = self._pictures_of(request, person, [each.person.cover_event_id for each in similar])
        lists = List.objects.for_account(person.account_id).order_by("-pk")[:LISTS_SHOWN]
        return {
            **self.admin_site.each_context(request),
            "title": str(person),
            "opts": self.opts,
            "person": person,
            "face": found_by_id("faces_face", person.face_id, viewer=request.user),
            "members": [
                {
                    "event_id": each.event.event_id,
                    "picture": thumbnail(shown.get(each.event.event_id), each.event, user=request.user, large=True),
                    "link": found_by_id("events_event", each.event.event_id, each.event, viewer=request.user),
                    "decided": each.decided,
                }
                for each in members
            ],
            "similar": [
                {
                    "person": each.person,
                    "picture": thumbnail(covers.get(each.person.cover_event_id), each.person, user=request.user),
                    "similarity": similarity_bar(each.similarity),
                    "apart": each.person.decided and person.decided,
                }
                for each in similar
            ],
            "following": following if following < person.event_count else None,
            "lists": lists if may_view(request.user, List) else (),
            "may_decide": self.has_change_permission(request, person),
            "decision": person_last_decision(person=person),
        }

    def _pictures(self, request: HttpRequest, person: Person, members: list[Member]) -> dict[UUID, Picture]:
        """Return the pictures of events by id, and write one audit line for them."""
        page = page_named("events_event")
        found = {each.event.event_id: picture for each in members if (picture := page.picture_of(each.event))}
        return self._seen(request, person, found, f"person group {person.person_id}")

    def _pictures_of(self, request: HttpRequest, person: Person, event_ids: list[UUID | None]) -> dict[Any, Picture]:
        found = page_named("events_event").pictures_by_id({each for each in event_ids if each}) if event_ids else {}
        return self._seen(request, person, found, f"people that resemble {person.person_id}")

    def _seen(self, request: HttpRequest, person: Person, found: dict[Any, Picture], page: str) -> dict[Any, Picture]:
        if not found or not may_view(request.user, StoredObject):
            return {}
        pictures = {picture.object_id: person.account_id for picture in found.values()}
        pictures_view(page=page, pictures=pictures, actor=actor_of(request))
        return found


def _page_of(decision: PersonDecision) -> str:
    """Return the page of the group that a merge has left."""
    left = Person.everything.filter(pk__in=decision.people).first()
    return reverse("admin:people_person_change", args=(left.pk,)) if left else reverse("admin:people_person_changelist")


def _decide(request: HttpRequest, done: str, decision: Callable[[], Any]) -> Any:
    """Execute a decision, and show its result or the reason why it is not possible. Return the decision, or None."""
    try:
        made = decision()
    except PeopleError as error:
        messages.error(request, str(error))
        return None
    messages.success(request, done)
    return made


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
