"""What all pages of the workbench share: permissions, refusals as messages, the chosen account, the common context."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounts.adminbase.working import ACCOUNT_KEY, account_chosen
from apps.accounts.auth.access import actor_of
from apps.accounts.auth.principal import Principal
from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.parts import part_check
from apps.common.refusals import refusal_text
from apps.people.grouping import PeopleError
from apps.workbench.errors import WorkbenchError

__all__ = ["account_chosen", "account_of_form", "actor_of", "page", "principal_of", "refusal_shown", "show"]

View = Callable[..., HttpResponse]
REFUSALS = (LunaError, PeopleError, WorkbenchError)
ACCOUNTS_SHOWN = 500
BUSY = 503


def refusal_shown(error: Exception) -> str:
    """Return the sentence of a refusal for an operator."""
    return refusal_text(error) if isinstance(error, LunaError) else str(error)


def page(*permissions: str, part: bool = False, parts: Sequence[str] = ()) -> Callable[[View], View]:
    """Decorate a view of the workbench: it requires a login of the admin site and all `permissions`.

    `parts`: the services of the platform that it needs; while one is off, the page is refused with its error.
    A refusal (LunaError, PeopleError, WorkbenchError) becomes a message: on the page that a form was sent from, on the
    first page for a page that cannot be shown, and in place of the answer for a `part` that scripts request.
    A `part` of a busy platform is answered with 503, so that the script asks again.
    The view opens no transaction: services do.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            try:
                for each in parts:
                    part_check(each)
                return view(request, *args, **kwargs)
            except REFUSALS as error:
                if part and getattr(error, "status", 0) == BUSY:
                    return HttpResponse(refusal_shown(error), status=BUSY, headers=getattr(error, "headers", {}))
                if part:
                    return render(request, "admin/workbench/refusal.html", {"refusal": refusal_shown(error)})
                messages.error(request, refusal_shown(error))
                return HttpResponseRedirect(_place_before(request))

        wrapped: View = admin.site.admin_view(shown)
        return wrapped

    return decorate


def _place_before(request: HttpRequest) -> str:
    """Return the page that a form was sent from, else the first page of the site."""
    before = request.headers.get("Referer", "")
    own = url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure())
    return before if request.method == "POST" and own else reverse("admin:index")


def show(request: HttpRequest, template: str, title: str, /, **context: Any) -> HttpResponse:
    """Render a whole page; `template` extends `admin/workbench/base.html`."""
    return render(
        request,
        template,
        {
            **admin.site.each_context(request),
            "title": title,
            "account": account_chosen(request),
            "accounts": Account.objects.filter(is_active=True).order_by("login").only("pk", "login")[:ACCOUNTS_SHOWN],
            **context,
        },
    )


def account_of_form(request: HttpRequest) -> Account:
    """Return the chosen account, which the form of the page must name: another tab may have chosen another since.

    Raises WorkbenchError for a form of another account.
    """
    account = account_chosen(request)
    if request.POST.get("account") != str(account.pk):
        raise WorkbenchError(_("You work in another account now. Nothing was changed. Load the page again."))
    return account


def principal_of(account: Account) -> Principal:
    """Return a principal for the pipeline, which reads and writes in `account` only."""
    return Principal(account_id=account.pk, account_type=AccountType.USER, login=account.login)


@page("faces.view_face")
@require_POST
def account_choose(request: HttpRequest) -> HttpResponse:
    """Remember the account of the form in the session."""
    wanted = parse_uuid(request.POST.get("account", ""))
    if wanted is None or not Account.objects.filter(pk=wanted, is_active=True).exists():
        raise LunaError(errors.ACCOUNT_NOT_FOUND, request.POST.get("account", ""))
    request.session[ACCOUNT_KEY] = str(wanted)
    messages.success(request, _("You work in this account now."))
    return HttpResponseRedirect(_place_before(request))
