"""The first page of the admin site: numbers of rows, the last events and the health of the platform."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from apps.accounts.adminbase.display import count_text, may_view, number_text, page_named
from apps.accounts.adminbase.filters import readable
from apps.common.config import version
from apps.common.refusals import sentence
from apps.common.rows import COUNTED_ROWS, ROWS_ESTIMATE
from apps.events.models import Event
from apps.monitoring.features import features
from apps.monitoring.health import CheckResult, checks
from apps.monitoring.processes import processes

LAST_EVENTS = 10
COLUMNS = ("event_id", "account", "source", "create_time", "user_data", "gender", "age", "emotion", "mask", "liveness",
           "ethnic_group", "tags", "top_matching_candidates_label", "top_similar_object_similarity",
           "top_similar_object_id", "top_similar_external_id", "match_result")  # fmt: skip


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the user may view to the context of the first page. No picture is shown, so no audit line is due.

    The cost does not depend on the number of rows.
    """
    titles = _sidebar()
    places = {url: place for place, url in enumerate(titles)}
    pages = [page for page in admin.site._registry.values() if page.has_view_permission(request)]
    pages.sort(key=lambda page: places.get(_url(page), len(places)))
    counts = _counts([page.model._meta.db_table for page in pages])
    unavailable: Any = features()["unavailable_estimations"]
    return {
        **context,
        "title": _("Overview"),
        "cards": [_card(page, counts[page.model._meta.db_table], titles) for page in pages],
        "events": _last_events() if may_view(request.user, Event) else None,
        "events_url": reverse("admin:events_event_changelist"),
        "checks": [_checked(each) for each in checks.run(all_services=True)],
        "processes": _processes() if getattr(request.user, "is_superuser", False) else [],
        "unavailable": [readable(name) for name in unavailable],
        "version": version(),
    }


def _checked(result: CheckResult) -> Mapping[str, Any]:
    return {"name": readable(result.name), "healthy": result.healthy, "error": sentence(result.error or "")}


def _sidebar() -> Mapping[str, str]:
    """Return the titles of the sidebar by address, in its order."""
    groups = settings.UNFOLD["SIDEBAR"]["navigation"]  # type: ignore[misc]  # a setting of Unfold
    return {str(item["link"]): str(item["title"]) for group in groups for item in group["items"]}


def _url(page: Any) -> str:
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")


def _card(page: Any, count: str, titles: Mapping[str, str]) -> Mapping[str, str]:
    url = _url(page)
    name = titles.get(url) or capfirst(str(page.opts.verbose_name_plural))
    return {"name": name, "url": url, "count": count}


def _counts(tables: list[str]) -> dict[str, str]:
    """Return the number of rows of each table as text, by one statement that reads at most `COUNTED_ROWS` of each.

    A table that PostgreSQL has not analysed yet has no estimate.
    """
    if not tables:
        return {}
    statement = " UNION ALL ".join(
        f"SELECT '{table}', CASE WHEN rows > {COUNTED_ROWS} THEN NULL ELSE "  # noqa: S608 - our names
        f'(SELECT count(*) FROM (SELECT 1 FROM "{table}" LIMIT {COUNTED_ROWS + 1}) AS bounded) END, rows '
        f"FROM {ROWS_ESTIMATE.format(table=table)} AS estimate(rows)"
        for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return {table: _number(counted, estimate) for table, counted, estimate in cursor.fetchall()}


def _number(counted: int | None, estimate: float) -> str:
    return f"≈ {number_text(round(estimate))}" if counted is None else count_text(counted, COUNTED_ROWS)


def _processes() -> list[dict[str, Any]]:
    """Return the status of all processes as texts. Numbers count since the start of the process."""
    return [
        {
            "name": each.name,
            "age_s": round(each.age_s),
            "objects": [
                (name, ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in found.items()))
                for name, found in sorted(each.objects.items())
            ],
        }
        for each in processes()
    ]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, int):
        return number_text(value)
    return number_text(value, 1) if isinstance(value, float) else str(value)


def _last_events() -> list[dict[str, Any]]:
    page = page_named("events_event")
    rows = Event.everything.select_related("account").only(*COLUMNS, "account__login")
    return [
        {
            "url": reverse("admin:events_event_change", args=(event.pk,)),
            "name": event.source or event.user_data or event.event_id,
            "account": event.account,
            "time": event.create_time,
            "person": page.person(event),
            "top_match": page.top_match(event),
            "tags": page.tag_names(event),
        }
        for event in rows.order_by("-create_time", "-id")[:LAST_EVENTS]
    ]
