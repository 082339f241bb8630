"""Admin pages of faces and lists."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.db.models import F, Func, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldForeignKeyRawIdWidget

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import NOTHING, found_by_id, may_view, number_text, rows_of
from apps.accounts.adminbase.filters import OwnedSelectFilter, readable
from apps.accounts.adminbase.working import account_chosen
from apps.accounts.auth.access import actor_of
from apps.accounts.models import Account
from apps.common.filters.enums import Gender
from apps.faces.models import Face, FaceDescriptor, List, ListFace
from apps.faces.services import face_update, faces_delete, list_create, list_update, lists_delete
from apps.imagestore.addresses import sample_of_address
from apps.imagestore.admin import Picture, PicturesAdmin, face_sample

MAX_CHOSEN = 100  # faces of one decision of the workbench


def count_of(rows: QuerySet[Any]) -> Coalesce:
    """Return the number of `rows` of an outer query's row as a subquery, without grouping the outer query."""
    return Coalesce(Subquery(rows.order_by().annotate(n=Func(F("pk"), function="COUNT")).values("n")), 0)


def by_account(rows: list[Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(row.account_id, []).append(row)
    return groups


class LinkInline(TabularInline):
    """Lists of a face."""

    model = ListFace
    fields = readonly_fields = ("list", "link_time")
    extra = 0
    can_delete = False
    hide_title = True
    verbose_name_plural = _("in lists")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ListFace]:
        links: QuerySet[ListFace] = super().get_queryset(request).select_related("list")
        return links


@admin.register(Face)
class FaceAdmin(PicturesAdmin, DeletingAdmin):
    """Pages of faces. External id and user data can be changed."""

    may_change = True

    list_display = ("picture", "name", "account", "person", "list_count", "create_time")
    list_display_links = ("picture", "name")
    list_select_related = ("account", "attribute")
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("links__list", OwnedSelectFilter),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("external_id", "user_data", "account__login")
    id_search_fields = ("face_id", "event_id", "account_id")
    whole_search_fields = ("external_id", "user_data")
    search_help_text = _(
        'A part of external id, user data or login; "a whole text" in quotes; or an id of face, event or account'
    )
    date_hierarchy = "create_time"
    ordering = ("-id",)
    actions = ("choose",)
    inlines = (LinkInline,)
    readonly_fields = ("large_picture", "face_id", "account", "work", "event", "events", "avatar", "person",
                       "descriptor_versions", "create_time", "last_update_time")  # fmt: skip
    fieldsets = (
        (None, {"fields": ("large_picture", "work", "external_id", "user_data", "person")}),
        (_("Record"), {"fields": ("face_id", "account", "event", "events", "avatar", "descriptor_versions",
                               "create_time", "last_update_time")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        links = count_of(ListFace.objects.filter(face=OuterRef("pk")))
        return Face.everything.annotate(links_n=links)

    def picture_of(self, row: Face) -> Picture | None:
        attribute = getattr(row, "attribute", None)
        samples = [*attribute.descriptor_samples, *attribute.basic_attributes_samples] if attribute else []
        return face_sample(samples[0] if samples else sample_of_address(row.avatar))

    def pictures_by_id(self, face_ids: Iterable[UUID]) -> dict[UUID, Picture]:
        """Return the pictures of faces by `face_id`, for pages that show faces among other objects."""
        rows = Face.everything.filter(face_id__in=list(face_ids)).select_related("attribute")
        return {row.face_id: picture for row in rows if (picture := self.picture_of(row))}

    @display(description=_("face"), header=True)
    def name(self, face: Face) -> list[str]:
        return [face.user_data or face.external_id or "—", str(face.face_id)]

    @display(description=_("looks like"))
    def person(self, face: Face) -> str:
        attribute = getattr(face, "attribute", None)
        if attribute is None or attribute.age is None:
            return NOTHING
        gender = [] if attribute.gender is None else [readable(Gender(attribute.gender).word)]
        return ", ".join([*gender, _("%(age)d years") % {"age": attribute.age}])

    @display(description=_("lists"), ordering="links_n")
    def list_count(self, face: Any) -> int:
        count: int = face.links_n
        return count

    @display(description=_("descriptors"))
    def descriptor_versions(self, face: Face) -> str:
        versions = FaceDescriptor.objects.filter(face=face).order_by("version").values_list("version", flat=True)
        return ", ".join(_("version %(version)s") % {"version": version} for version in versions) or "—"

    @display(description=_("event"))
    def event(self, face: Any) -> SafeString:
        return found_by_id("events_event", face.event_id, viewer=face.viewer)

    @display(description=_("person"))
    def work(self, face: Face) -> SafeString:
        url = reverse("workbench:face", args=(face.face_id,))
        return format_html('<a href="{}" class="luna-link">{}</a>', url, _("lists, similar faces and sightings"))

    @action(description=_("Compare, merge, split or move selected faces"), permissions=["change"])
    def choose(self, request: HttpRequest, queryset: QuerySet[Face]) -> HttpResponse:
        """Show the selected faces on the page that merges, splits and moves them."""
        ids = queryset.values_list("face_id", flat=True)[: MAX_CHOSEN + 1]
        query = urlencode({"face": list(ids)}, doseq=True)
        return HttpResponseRedirect(f"{reverse('workbench:selection')}?{query}")

    @display(description=_("events"))
    def events(self, face: Face) -> SafeString:
        return rows_of("events_event", "q", face.face_id, _("events that created, or resemble, this face"))

    def save_model(self, request: HttpRequest, obj: Face, form: "ModelForm[Face]", change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            face_update(account_id=obj.account_id, face_id=obj.face_id, changes=changes, actor=actor_of(request))

    def delete_rows(self, request: HttpRequest, rows: list[Face]) -> None:
        for account_id, faces in by_account(rows).items():
            face_ids = [face.face_id for face in faces]
            faces_delete(account_id=account_id, face_ids=face_ids, actor=actor_of(request))


@admin.register(List)
class ListAdmin(DeletingAdmin):
    """Pages of lists. The deletion of a list keeps its faces."""

    may_add = may_change = True

    list_display = ("name", "account", "faces", "events", "create_time", "last_update_time")
    list_select_related = ("account",)
    list_filter = (("account", AutocompleteSelectFilter), ("create_time", RangeDateTimeFilter))
    search_fields = ("user_data", "account__login")
    id_search_fields = ("list_id", "account_id")
    search_help_text = _("A part of user data or login; list id or account id")
    date_hierarchy = "create_time"
    ordering = ("-id",)
    readonly_fields = ("list_id", "faces", "link_key", "unlink_key", "create_time", "last_update_time")
    fieldsets = (
        (None, {"fields": ("user_data", "account", "faces")}),
        (_("Record"), {"fields": ("list_id", "link_key", "unlink_key", "create_time", "last_update_time")}),
    )
    add_fieldsets = ((None, {"fields": ("user_data", "account")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        faces = count_of(ListFace.objects.filter(list=OuterRef("pk")))
        return List.everything.annotate(faces_n=faces)

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the account field for users who may view accounts; other users enter the account's id."""
        return ("account",) if may_view(request.user, Account) else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name not in self.get_autocomplete_fields(request):
            kwargs["widget"] = UnfoldForeignKeyRawIdWidget(db_field.remote_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        texts = {"user_data": _("The name of the list.")}
        return super().get_form(request, obj, change, **{"help_texts": texts, **kwargs})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"account": account_chosen(request).pk, **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else (*self.readonly_fields, "account")

    @display(description=_("list"), header=True)
    def name(self, row: List) -> list[str]:
        return [row.user_data or "—", str(row.list_id)]

    @display(description=_("faces"), ordering="faces_n")
    def faces(self, row: Any) -> SafeString:
        return rows_of("faces_face", "links__list__id__exact", row.pk, number_text(row.faces_n))

    @display(description=_("events"))
    def events(self, row: Any) -> SafeString:
        return rows_of("events_event", "list", row.list_id, _("events"))

    def save_model(self, request: HttpRequest, obj: List, form: "ModelForm[List]", change: bool) -> None:
        given: Any = {"account_id": obj.account_id, "list_id": obj.list_id, "user_data": obj.user_data}
        if change:
            list_update(**given, actor=actor_of(request))
        else:
            obj.pk, obj._state.adding = list_create(**given, actor=actor_of(request)).pk, False

    def delete_rows(self, request: HttpRequest, rows: list[List]) -> None:
        for account_id, lists in by_account(rows).items():
            list_ids = [row.list_id for row in lists]
            lists_delete(account_id=account_id, list_ids=list_ids, actor=actor_of(request))
