"""Pages that download dumps and limitation files, and load them after a preview."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.auth.access import actor_of
from apps.common.errors import LunaError
from apps.common.refusals import sentence
from apps.configurator import selectors
from apps.configurator.admin.forms.building import json_of
from apps.configurator.admin.pages import difference_rows, problem_of, show, summary
from apps.configurator.choices import Kind
from apps.configurator.dumps import DumpError, Preview, Problem, dump, limitations_file, load, preview
from apps.configurator.history import ChangedSinceError

PERMISSIONS = tuple(
    f"configurator.{verb}_{model}" for verb in ("add", "change") for model in ("setting", "limitation", "settinggroup")
)
MAX_FILE_BYTES = 16 * 1024**2
BACK = "admin:configurator_setting_changelist"


def dump_page(request: HttpRequest) -> HttpResponse:
    """Answer with all settings as a file, with the limitations of services, or with the page that offers both."""
    if request.GET.get("file") == "all":
        return _file(dump(), "settings_dump.json")
    if chosen := request.GET.getlist("service"):
        try:
            return _file(limitations_file(chosen), "limitations.json")
        except LunaError as error:
            messages.error(request, problem_of(error)[""])
    return show(request, "dump", _("Download settings"), services=selectors.service_names(), back=reverse(BACK))


def _file(content: Any, name: str) -> HttpResponse:
    return HttpResponse(
        orjson.dumps(content, option=orjson.OPT_INDENT_2),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def load_page(request: HttpRequest) -> HttpResponse:
    """Show what a dump would change, and load it after the confirmation."""
    text, problems = "", tuple[Problem, ...]()
    found: Preview | None = None
    if request.method == "POST":
        try:
            text = _text(request)
            content = json_of(text)
            if request.POST.get("do") == "load":
                return _loaded(request, content)
            found = preview(content)
        except ChangedSinceError:
            text_changed = _("Settings have changed since the preview. Nothing was loaded: this is the new preview.")
            messages.warning(request, text_changed)
            found, problems = _again(content)
        except DumpError as error:
            problems = _in_language(error.problems)
        except ValueError as error:
            problems = (Problem(_("This is not valid JSON. %(problem)s") % {"problem": error}),)
    return show(
        request,
        "load",
        _("Load a dump"),
        text=text if found else "",
        problems=problems,
        preview=found,
        changes=[_shown(each) for each in found.changes] if found else (),
        back=reverse(BACK),
    )


def _again(content: Any) -> tuple[Preview | None, tuple[Problem, ...]]:
    try:
        return preview(content), ()
    except DumpError as error:
        return None, _in_language(error.problems)


def _in_language(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(replace(each, text=sentence(each.text)) for each in problems)


def _text(request: HttpRequest) -> str:
    """Return the text of the chosen file, or of the page. Raises DumpError."""
    file = request.FILES.get("file")
    if file is None:
        if text := request.POST.get("text", ""):
            return text
        raise DumpError(Problem(_("Choose a file.")))
    if (file.size or 0) > MAX_FILE_BYTES:
        raise DumpError(Problem(_("The file is larger than %(most)d MB.") % {"most": MAX_FILE_BYTES // 1024**2}))
    try:
        return str(file.read(), "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DumpError(Problem(_("The file is not UTF-8 text."))) from error


def _loaded(request: HttpRequest, content: Any) -> HttpResponse:
    seen = request.POST.get("version", "")
    known = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 19 else 0
    done = load(content, seen=known, actor=actor_of(request))
    counts = {"settings": len(done.settings), "limitations": len(done.limitations), "groups": len(done.groups)}
    messages.success(
        request, _("Loaded: %(settings)d settings, %(limitations)d limitations, %(groups)d groups.") % counts
    )
    return HttpResponseRedirect(reverse(BACK))


def _shown(change: Any) -> dict[str, Any]:
    tags = ", ".join((change.after or change.before or {}).get("tags", ()))
    return {
        "kind": Kind(change.kind).label,
        "name": f"{change.name} [{tags}]" if tags else change.name,
        "what": summary(change.before, change.after),
        "rows": difference_rows(change.before or {}, change.after or {}),
    }
