"""Accounts, tokens and the audit log in the admin site."""

import json
from collections.abc import Iterable
from copy import copy
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.contrib.auth.views import PasswordChangeView
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
)
from unfold.decorators import display
from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from apps.accounts.adminbase import DeletingAdmin, LunaAdmin
from apps.accounts.adminbase.display import NOTHING, Labels, count_text, found_by_id, tags
from apps.accounts.adminbase.filters import by_words, readable, readable_lazy
from apps.accounts.auth.access import actor_of
from apps.accounts.auth.logins import ACTIONS as LOGIN_ACTIONS
from apps.accounts.auth.logins import FAILED, LOCKED, Way
from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType, VisibilityArea
from apps.accounts.erasure import holdings_count
from apps.accounts.models import Account, AuditRecord, Token
from apps.accounts.roles import Role
from apps.accounts.selectors import account_find
from apps.accounts.services import account_create, account_delete, account_update, token_delete
from apps.common.fields import parse_uuid
from apps.common.times import utc_now

admin.site.unregister(Group)  # `apps.accounts.roles` defines the groups


class AccountCreationForm(UserCreationForm):
    chosen_id = forms.UUIDField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        label=_("Account id"),
        help_text=_("Empty: a new id. Choose one to continue with the data of another platform."),
    )

    class Meta:
        model = Account
        fields = ("login", "account_type", "description")

    def clean_chosen_id(self) -> UUID | None:
        account_id: UUID | None = self.cleaned_data["chosen_id"]
        if account_id is not None and account_find(account_id) is not None:
            raise forms.ValidationError(_("An account with this id exists."))
        return account_id


class RolesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Roles by their words."""

    def label_from_instance(self, obj: Any) -> str:
        return readable(obj.name)


class AccountChangeForm(UserChangeForm):
    class Meta:
        model = Account
        fields = ("login", "account_type", "description", "time_zone", "is_active", "groups", "password")
        labels: ClassVar = {"groups": _("Roles")}
        help_texts: ClassVar = {"groups": _("Roles apply to this site only. An account of type admin needs none.")}
        widgets: ClassVar = {"groups": UnfoldAdminCheckboxSelectMultipleWidget}
        field_classes: ClassVar = {"groups": RolesField}


class _SavedByService:
    """Makes the service change the password, because Django's forms would save the account directly."""

    cleaned_data: dict[str, Any]

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor

    def set_password_and_save(self, user: Account, name: str = "password1", **options: Any) -> Account:
        account_update(account=user, password=self.cleaned_data[name], actor=self.actor)
        user.refresh_from_db(fields=("password",))
        return user


class PasswordForm(_SavedByService, AdminPasswordChangeForm):
    """Form for another account's password. It cannot be removed: `is_active` disables an account."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        self.fields["password1"].required = self.fields["password2"].required = True


class OwnPasswordForm(_SavedByService, AdminOwnPasswordChangeForm):
    """Form for the own password, which asks for the old one."""


def own_password_change(request: HttpRequest) -> HttpResponseBase:
    """Show the page on which users change their own password."""
    view = PasswordChangeView.as_view(
        form_class=partial(OwnPasswordForm, actor=actor_of(request)),
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )
    return view(request)


@admin.register(Account)
class AccountAdmin(DeletingAdmin, UserAdmin):  # type: ignore[type-arg]
    """Accounts with their roles in this site. Passwords can be set, but are never shown."""

    may_add = may_change = True

    form = AccountChangeForm
    add_form = AccountCreationForm
    list_display = ("login", "kind", "account_id", "roles", "description", "active", "create_time")
    list_filter = (
        ("account_type", ChoicesDropdownFilter),
        ("is_active", BooleanRadioFilter),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("login", "description")
    id_search_fields = ("account_id",)
    search_help_text = _("Login, description or account id")
    date_hierarchy = "create_time"
    ordering = ("-create_time",)
    actions_row = ("delete_row",)
    filter_horizontal = ()
    readonly_fields = ("account_id", "create_time", "last_update_time", "last_login")
    fieldsets = (
        (None, {"fields": ("login", "password", "account_type", "groups", "description", "time_zone", "is_active")}),
        (_("Record"), {"fields": ("account_id", "create_time", "last_update_time", "last_login")}),
    )
    add_fieldsets = (
        (None, {"fields": ("login", "password1", "password2", "account_type", "description", "chosen_id")}),
    )

    @display(description=_("type"), ordering="account_type", label=Labels({"admin": "danger", "advanced user": "info"}))
    def kind(self, account: Account) -> str:
        return readable(account.account_type)

    @display(description=_("roles"))
    def roles(self, account: Account) -> str:
        return ", ".join(sorted(readable(group.name) for group in account.groups.all())) or "—"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return super().get_queryset(request).prefetch_related("groups")

    @display(description=_("active"), boolean=True, ordering="is_active")
    def active(self, account: Account) -> bool:
        return account.is_active

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep administrators' types fixed, and keep users from disabling their own accounts."""
        fixed: tuple[str, ...] = self.readonly_fields
        if obj is not None and obj.account_type == AccountType.ADMIN:
            fixed = (*fixed, "account_type")
        return (*fixed, "is_active") if obj == request.user else fixed

    def save_model(self, request: HttpRequest, obj: Account, form: "ModelForm[Account]", change: bool) -> None:
        actor = actor_of(request)
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            if "groups" in changes:
                changes["roles"] = [Role(group.name) for group in changes.pop("groups")]
            account_update(account=obj, actor=actor, **changes)
            return
        obj.account_id = form.cleaned_data["chosen_id"] or obj.account_id
        account_create(
            login=obj.login,
            password=form.cleaned_data["password1"],
            account_type=obj.account_type,
            description=obj.description,
            account_id=obj.account_id,
            actor=actor,
        )
        obj._state.adding = False

    def save_related(self, request: HttpRequest, form: "ModelForm[Account]", formsets: Any, change: bool) -> None:
        """Save nothing: the service has saved the roles."""

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        page = copy(self)  # a copy per request: Django passes no request to the form
        page.change_password_form = partial(PasswordForm, actor=actor_of(request))
        return super(AccountAdmin, page).user_change_password(request, id, form_url)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out the deletion of several accounts: each needs its own confirmation."""
        return {name: each for name, each in super().get_actions(request).items() if name != "delete_selected"}

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[str | SafeString], Any, set[str], list[str]]:
        """Return what is deleted with an account. Django deletes only without the last value: a wrong login is one."""
        [account] = objs
        names, _counts, lacking, _protected = super().get_deleted_objects([account], request)
        typed = request.POST.get("login", "").strip().lower()
        wrong = [typed] if request.method == "POST" and typed != account.login else []
        counts = {readable(name): count_text(count) for name, count in holdings_count(account.account_id).items()}
        return names, counts, lacking, wrong

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        response: HttpResponse = super().render_delete_form(request, {**context, "title": _("Delete account")})
        return response

    def delete_rows(self, request: HttpRequest, rows: list[Account]) -> None:
        for account in rows:
            account_delete(account=account, actor=actor_of(request))


SEES = {VisibilityArea.ACCOUNT.value: _("its account"), VisibilityArea.ALL.value: _("all accounts")}


@admin.register(Token)
class TokenAdmin(DeletingAdmin):
    """Issued tokens, to view and revoke. Only the API creates tokens, and returns each JWT once."""

    list_display = ("name", "account", "rights", "visibility", "state", "create_time")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("visibility_area", by_words(SEES)),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("description", "account__login")
    id_search_fields = ("token_id", "account_id")
    search_help_text = _("Description, login, token id or account id")
    date_hierarchy = "create_time"
    ordering = ("-create_time",)
    fields = ("token_id", "description", "account", "visibility", "permission_words", "expiration_time", "create_time",
              "last_update_time")  # fmt: skip

    @display(description=_("token"), header=True)
    def name(self, token: Token) -> list[str]:
        return [token.description or "—", str(token.token_id)]

    @display(description=_("rights"))
    def rights(self, token: Token) -> str:
        granted = sum(len(rights) for rights in token.permissions.values() if isinstance(rights, list))
        return _("%(rights)d on %(kinds)d kinds") % {"rights": granted, "kinds": len(token.permissions)}

    @display(description=_("rights"))
    def permission_words(self, token: Token) -> SafeString:
        rows = ((readable(kind), _words(rights)) for kind, rights in sorted(token.permissions.items()))
        return format_html_join("", '<div class="luna-right"><b>{}</b> {}</div>', rows) or NOTHING

    @display(description=_("sees"), ordering="visibility_area", label=Labels({"all accounts": "warning"}))
    def visibility(self, token: Token) -> str:
        return str(SEES.get(token.visibility_area, token.visibility_area))

    @display(description=_("state"), label=Labels({"valid": "success", "expired": "danger"}))
    def state(self, token: Token) -> str:
        ended = token.expiration_time and token.expiration_time <= utc_now()
        return str(_("expired") if ended else _("valid"))

    def delete_rows(self, request: HttpRequest, rows: list[Token]) -> None:
        for token in rows:
            token_delete(account_id=token.account_id, token_id=token.token_id, actor=actor_of(request))


def _words(rights: Any) -> SafeString:
    """Render the rights on one kind of objects: a list of words, or a value such as True."""
    return tags(map(readable, rights) if isinstance(rights, list) else [json.dumps(rights)])


# The pages of the objects of audit lines, by type.
OBJECT_PAGES = {
    **dict.fromkeys(("account", *Way), "accounts_account"),
    "token": "accounts_token",
    "event": "events_event",
    "person_group": "people_person",
    "handler": "handlers_handler",
    "callback": "sender_callback",
    "verifier": "handlers_verifier",
    "list": "faces_list",
    "bucket": "imagestore_storedbucket",
    **dict.fromkeys(("face", "face_attribute", "face_descriptor"), "faces_face"),
    **dict.fromkeys(
        ("face_sample", "body_sample", "image", "object", "portrait", "task_result", "pictures"),
        "imagestore_storedobject",
    ),
}
OBJECT_TYPES = (
    *OBJECT_PAGES, "attribute", "attribute_descriptor", "event_descriptor", "network", "fault",
    "setting", "limitation", "setting_group",
)  # fmt: skip
ACTIONS = ("view", "create", "update", "delete", "erase", "mend", *LOGIN_ACTIONS)


@admin.register(AuditRecord)
class AuditRecordAdmin(LunaAdmin):
    """The audit log: reads and changes, with their actors. It is read-only."""

    list_display = ("time", "who", "verb", "kind", "shown_object", "remote_address", "request_id")
    list_filter = (
        ("action", by_words({name: readable_lazy(name) for name in ACTIONS})),
        ("object_type", by_words({name: readable_lazy(name) for name in sorted(OBJECT_TYPES)})),
        ("time", RangeDateTimeFilter),
    )
    search_fields = ("object_id", "request_id", "remote_address")
    id_search_fields = ("account_id", "token_id", "object_account_id", "object_id")
    search_help_text = _("Login, object, account or token id, request id, address")
    fields = ("time", "who", "token", "verb", "kind", "objects", "owner", "remote_address", "request_id")
    date_hierarchy = "time"
    ordering = ("-id",)
    LABELS: ClassVar = Labels(
        {
            "view": "info",
            "create": "success",
            "update": "warning",
            "delete": "danger",
            "erase": "danger",
            **dict.fromkeys((each.replace("_", " ") for each in (FAILED, LOCKED)), "danger"),
        }
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditRecord]:
        logins = Account.objects.filter(account_id=OuterRef("account_id")).values("login")[:1]
        records: QuerySet[AuditRecord] = super().get_queryset(request).annotate(login=Subquery(logins))
        return records

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search the logins of actors and the members of sets as well. Lines have no foreign keys."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        wanted = parse_uuid(search_term.strip())
        if wanted is not None:
            return found | queryset.filter(members__contains=[str(wanted)]), duplicates
        if search_term.strip():
            actors = Account.objects.filter(login__icontains=search_term.strip()).values("account_id")
            found |= queryset.filter(account_id__in=actors)
        return found, duplicates

    @display(description=_("account"), ordering="account_id")
    def who(self, record: Any) -> str | SafeString:
        name = record.login or record.account_id or str(_("the platform"))
        viewer = getattr(record, "viewer", None)  # of a line's own page
        return name if viewer is None else found_by_id("accounts_account", record.account_id, name, viewer=viewer)

    @display(description=_("type"), ordering="object_type")
    def kind(self, record: AuditRecord) -> str:
        return readable(record.object_type)

    @display(description=_("object"), ordering="object_id")
    def shown_object(self, record: AuditRecord) -> str:
        if record.members is None:
            return record.object_id
        return _("%(count)d of %(page)s") % {"count": len(record.members), "page": readable(record.object_id)}

    @display(description=_("objects"))
    def objects(self, record: Any) -> SafeString:
        page = OBJECT_PAGES.get(record.object_type)
        ids = [record.object_id] if record.members is None else record.members
        linked = [page if record.object_type == "bucket" or parse_uuid(each) else None for each in ids]
        shown = [
            each if page is None else found_by_id(page, each, viewer=record.viewer)
            for each, page in zip(ids, linked, strict=True)
        ]
        return format_html_join(", ", "{}", ((each,) for each in shown)) or NOTHING

    @display(description=_("token"))
    def token(self, record: Any) -> SafeString:
        return found_by_id("accounts_token", record.token_id, viewer=record.viewer)

    @display(description=_("owner of the objects"))
    def owner(self, record: Any) -> SafeString:
        return found_by_id("accounts_account", record.object_account_id, viewer=record.viewer)

    @display(description=_("action"), ordering="action", label=LABELS)
    def verb(self, record: AuditRecord) -> str:
        return readable(record.action)
