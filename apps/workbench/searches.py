"""Searches of events by an operator: the filters of the API as a form, and pages that continue after an event."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from psycopg.errors import QueryCanceled
from rest_framework import serializers

from apps.accounts.adminbase.lists import SEARCH_S
from apps.accounts.adminbase.nodes import Group
from apps.accounts.adminbase.walks import limit_statements
from apps.common.filters import EventFilterSerializer, Filters, terms
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.common.times import parse_time
from apps.events.models import Event
from apps.events.positions import Order, Position
from apps.events.selectors import events_page
from apps.workbench.errors import WorkbenchError

EVENTS_SHOWN = 50
MAX_KEY = 2**63 - 1
FIRST = frozenset(
    {"create_time__gte", "create_time__lt", "sources", "tags", "user_data", "gender", "age__gte", "age__lt",
     "top_matching_candidates_label", "top_similar_object_similarity__gte", "order"}
)  # fmt: skip


class EventSearch(EventFilterSerializer):
    """All filters of the API, and the order."""

    order = serializers.ChoiceField(
        choices=(("desc", _lazy("newest first")), ("asc", _lazy("oldest first"))), default="desc"
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A page of events. `following`: the text of the position of its last event, empty on the last page."""

    events: list[Event]
    following: str = ""


@contextmanager
def time_limited() -> Any:
    """End a search after `SEARCH_S`. Raises WorkbenchError."""
    try:
        with transaction.atomic():
            limit_statements(f"'{SEARCH_S}s'")
            yield
            limit_statements("DEFAULT")
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise WorkbenchError(
            _("The search took longer than %(most)d s. Narrow it by a filter.") % {"most": SEARCH_S}
        ) from error  # fmt: skip


def events_search(*, scope: Scope, filters: Filters, order: Order, after: str) -> Found:
    """Return events by the filters, after a position. Raises WorkbenchError for a search that takes too long."""
    with time_limited():
        events = events_page(
            scope=scope, filters=filters, page=Page(size=EVENTS_SHOWN + 1), order=order, after=_position(after)
        )
    shown = events[:EVENTS_SHOWN]
    return Found(shown, _text(shown[-1]) if len(events) > EVENTS_SHOWN else "")


def _text(event: Event) -> str:
    return f"{event.create_time.isoformat()}~{event.pk}"


def _position(text: str) -> Position | None:
    """Return the position of a parameter, None for another text."""
    time, _tilde, key = text.partition("~")
    if not (key.isascii() and key.isdigit() and len(key) < 20 and int(key) <= MAX_KEY):
        return None
    try:
        create_time: datetime = parse_time(time)
    except ValueError:
        return None
    return Position(create_time, int(key))


def grouped(form: Group) -> Group:
    """Return the form of a search: the most frequent filters first, the others in groups."""
    groups: Mapping[str, tuple[str, set[str]]] = {
        "person": (_("Person"), {term.name for term in terms.FACE}),
        "body": (_("Body and clothing"), {term.name for term in terms.BODY}),
        "place": (
            _("Place"),
            {term.name for term in terms.PLACE}
            | {"origin_longitude", "origin_latitude", "longitude_delta", "latitude_delta"},
        ),
        "match": (_("Recognised as"), {term.name for term in terms.TOP_MATCH} | {"matching_candidates_labels"}),
        "other": (_("Ids, times, track and meta"), set()),
    }
    first = [child for child in form.children if child.name in FIRST]
    parts: dict[str, list[Any]] = {key: [] for key in groups}
    for child in form.children:
        if child.name not in FIRST:
            parts[next((key for key, (_title, names) in groups.items() if child.name in names), "other")].append(child)
    return Group(
        name=form.name,
        label=form.label,
        error=form.error,
        children=[
            *first,
            *(Group(name=key, label=groups[key][0], children=children) for key, children in parts.items() if children),
        ],
    )
