"""What all pages of the Configurator share: rendering, problems by field, differences, conflicts of two operators."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.accounts.models import Account
from apps.common.errors import LunaError
from apps.common.refusals import refusal_text, sentence
from apps.common.validation import PATH
from apps.configurator.admin.forms.building import json_of, pretty
from apps.configurator.differences import ABSENT, Difference, differences
from apps.configurator.models import Change

SHOWN_CHARACTERS = 2000  # of a value in a table of differences


def show(request: HttpRequest, template: str, title: str, /, **context: Any) -> HttpResponse:
    """Render a page of the Configurator."""
    return render(
        request, f"admin/configurator/{template}.html", {**admin.site.each_context(request), "title": title, **context}
    )


def problems_of(serializer: type[serializers.Serializer[Any]], data: Mapping[str, Any]) -> dict[str, str]:
    """Validate texts with a serializer of the API, and return the problem of each field."""
    try:
        serializer().run_validation(data)
    except serializers.ValidationError as error:
        detail: Any = error.detail
        return {name: " ".join(_sentences(each)) for name, each in detail.items()}
    except LunaError as error:
        return problem_of(error)
    return {}


def _sentences(detail: Any) -> list[str]:
    if isinstance(detail, Mapping):
        detail = list(detail.values())
    if isinstance(detail, list):
        return list(dict.fromkeys(text for each in detail for text in _sentences(each)))
    return [sentence(str(detail))]


def problem_of(error: LunaError) -> dict[str, str]:
    """Return the problem of an error of the API by the path that its detail names, else by an empty path."""
    path = PATH.search(error.detail)
    text = PATH.sub("", refusal_text(error))
    return {path[1] if path else "": _("%(problem)s (error %(code)d)") % {"problem": text, "code": error.code}}


def words_of(text: str) -> list[str]:
    """Return the words of a text, separated by commas or lines."""
    return [word.strip() for word in text.replace("\n", ",").split(",") if word.strip()]


def json_field(text: str, name: str, problems: dict[str, str]) -> Any:
    """Parse a JSON field. A problem is added to `problems`."""
    try:
        return json_of(text)
    except ValueError as error:
        problems[name] = _("This is not valid JSON. %(problem)s") % {"problem": error}
    return None


def difference_rows(before: Any, after: Any, *, absent: str = "—") -> list[dict[str, str]]:
    """Return the differences of two states as texts. `absent`: the text of a missing member."""
    return [
        {"path": each.path or _("value"), "before": _text(each.before, absent), "after": _text(each.after, absent)}
        for each in differences(before, after)
    ]


def _text(value: Any, absent: str) -> str:
    text = absent if value is ABSENT else value if isinstance(value, str) and value else pretty(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def summary(before: Any, after: Any) -> str:
    """Return what a change has changed, in words."""
    if before is None:
        return _("created")
    if after is None:
        return _("deleted")
    found: list[Difference] = list(differences(before, after))
    names = ", ".join(each.path.removeprefix("value.") for each in found[:3])
    return names if len(found) <= 3 else _("%(names)s and %(count)d more") % {"names": names, "count": len(found) - 3}


def actors(changes: Iterable[Change]) -> dict[UUID | None, str]:
    """Return who has made changes, by account id: the login, the id of a deleted account, or a command."""
    ids = {each.actor_id for each in changes}
    known = [each for each in ids if each is not None]
    logins = dict(Account.objects.filter(pk__in=known).values_list("pk", "login"))
    return {each: _("a command") if each is None else logins.get(each, str(each)) for each in ids}


def conflict(kind: str, key: object, rows: list[dict[str, str]]) -> dict[str, Any]:
    """Return what the page says after another operator has changed an object: who, when, and the differences."""
    last = Change.objects.filter(kind=kind, key=str(key)).first()
    who = actors([last])[last.actor_id] if last else _("a command")
    return {"who": who, "time": last.time if last else None, "rows": rows}
