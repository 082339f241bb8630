"""Filters of the list of settings."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from apps.accounts.adminbase.filters import ValueFilter
from apps.configurator import platform, selectors
from apps.configurator.choices import Effect
from apps.configurator.models import Limitation, Setting, SettingGroup

CHANGED, DEFAULT, TAGGED, OVERRIDDEN = "changed", "default", "tagged", "environment"
IS_CHANGED = (
    Q(is_default=False)
    | Q(limitation__platform=True) & ~Q(value={})
    | Q(limitation__platform=False) & ~Q(value=F("limitation__default_value"))
)


class StateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> Any:
        return (
            (CHANGED, _("changed only")),
            (DEFAULT, _("default values")),
            (TAGGED, _("with tags")),
            (OVERRIDDEN, _("overridden by the environment")),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "changed":
                return queryset.filter(IS_CHANGED)
            case "default":
                return queryset.exclude(IS_CHANGED)
            case "tagged":
                return queryset.filter(is_default=False)
            case "environment":
                named = [name for name, group in platform.groups().items() if platform.overridden(group)]
                return queryset.filter(limitation__limitation_name__in=named)
        return queryset


class EffectFilter(DropdownFilter):
    title = _("takes effect")
    parameter_name = "effect"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> Any:
        return Effect.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        if value == Effect.OTHER:
            return queryset.filter(limitation__platform=False)
        named = [name for name, group in platform.groups().items() if platform.effect_of(group) == value]
        return queryset.filter(limitation__limitation_name__in=named, limitation__platform=True)


class ServiceFilter(DropdownFilter):
    title = _("service")
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> Any:
        return [(name, name) for name in selectors.service_names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (value := self.value()):
            return queryset
        names = selectors.limitations_of_services([value])
        field = "limitation_name" if queryset.model is Limitation else "limitation__limitation_name"
        return queryset.filter(**{f"{field}__in": names})


class SettingGroupFilter(DropdownFilter):
    title = _("group")
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> Any:
        return [(name, name) for name in SettingGroup.objects.values_list("group_name", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (value := self.value()):
            return queryset
        linked = Limitation.objects.filter(setting_groups__group_name=value).values("pk")
        return queryset.filter(**{"pk__in" if queryset.model is Limitation else "limitation__in": linked})


class LinkedFilter(ValueFilter):
    title = _("name of a limitation")
    parameter_name = "limitation"

    def filtered(self, request: HttpRequest, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        linked = Limitation.objects.filter(limitation_name__icontains=value)
        return queryset.filter(pk__in=SettingGroup.objects.filter(limitations__in=linked).values("pk"))


def is_changed(setting: Setting) -> bool:
    """Return whether a default setting has other values than the default ones."""
    if setting.limitation.platform:
        return bool(setting.value)
    return bool(setting.value != setting.limitation.default_value)
