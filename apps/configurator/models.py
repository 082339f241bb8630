"""Rows of the Configurator: settings, their limitations (schemas), groups of limitations, and the history of changes.

The platform's own limitations are the groups of the settings door; their rows hold the name only. The values of such a
setting hold what differs from the defaults.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.common.json_types import StoredJsonDecoder
from apps.configurator.choices import NAME_LENGTH, TEXT_LENGTH, Kind


class Limitation(models.Model):
    """The schema of the values of a setting, and the services that use it. `platform`: a group of the settings door."""

    limitation_name = models.CharField(_("name"), max_length=NAME_LENGTH, unique=True)
    platform = models.BooleanField(_("of the platform"), default=False)
    validation_schema = models.JSONField(_("schema"), default=dict, blank=True, decoder=StoredJsonDecoder)
    services = models.JSONField(_("services"), default=list, blank=True)
    default_value = models.JSONField(_("default value"), default=dict, blank=True, decoder=StoredJsonDecoder)
    description = models.CharField(_("description"), max_length=NAME_LENGTH, blank=True)

    class Meta:
        verbose_name = _("limitation")
        verbose_name_plural = _("limitations")
        ordering = ("limitation_name",)

    def __str__(self) -> str:
        return self.limitation_name


class Setting(models.Model):
    """A value for a limitation: its default one, or one with tags. All writes hold the lock of `State`."""

    limitation = models.ForeignKey(Limitation, models.CASCADE, related_name="settings", verbose_name=_("name"))
    value = models.JSONField(_("value"), default=dict, blank=True, decoder=StoredJsonDecoder)
    description = models.CharField(_("description"), max_length=NAME_LENGTH, blank=True)
    tags = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True, verbose_name=_("tags"))
    is_default = models.BooleanField(_("default"), default=False)
    create_time = models.DateTimeField(_("created"))
    last_update_time = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("setting")
        verbose_name_plural = _("settings")
        ordering = ("limitation__limitation_name", "-is_default", "id")
        constraints: ClassVar = (
            models.UniqueConstraint(
                fields=("limitation",), condition=models.Q(is_default=True), name="one_default_setting"
            ),
            models.CheckConstraint(
                condition=models.Q(is_default=True, tags=[]) | (models.Q(is_default=False) & ~models.Q(tags=[])),
                name="default_settings_have_no_tags",
            ),
        )
        indexes = (GinIndex(fields=("tags",), name="setting_tags"),)

    def __str__(self) -> str:
        return " ".join((self.limitation.limitation_name, *(f"[{tag}]" for tag in self.tags)))


class SettingGroup(models.Model):
    """A named set of limitations."""

    group_name = models.CharField(_("name"), max_length=NAME_LENGTH, unique=True)
    description = models.CharField(_("description"), max_length=TEXT_LENGTH, blank=True)
    limitations = models.ManyToManyField(
        Limitation, related_name="setting_groups", blank=True, verbose_name=_("limitations")
    )

    class Meta:
        verbose_name = _("group of settings")
        verbose_name_plural = _("groups of settings")
        ordering = ("group_name",)

    def __str__(self) -> str:
        return self.group_name


class Change(models.Model):
    """A change: the state of an object before and after it. Null: the object did not exist."""

    time = models.DateTimeField(_("time"))
    actor_id = models.UUIDField(_("account"), null=True)  # null: a command
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    key = models.CharField(_("object"), max_length=NAME_LENGTH)  # the id of a setting, else the name
    before = models.JSONField(_("before"), null=True, decoder=StoredJsonDecoder)
    after = models.JSONField(_("after"), null=True, decoder=StoredJsonDecoder)
    undoes = models.ForeignKey("self", models.SET_NULL, null=True, related_name="undone_by", verbose_name=_("undoes"))

    class Meta:
        verbose_name = _("change of settings")
        verbose_name_plural = _("history of settings")
        ordering = ("-id",)
        indexes = (models.Index(fields=("kind", "key", "-id"), name="changes_of_an_object"),)

    def __str__(self) -> str:
        return f"{self.name} {self.time:%Y-%m-%d %H:%M:%S}"


class State(models.Model):
    """One row. Each change locks it and raises the version, which processes poll."""

    version = models.BigIntegerField(default=1)

    class Meta:
        verbose_name = _("version of the settings")

    def __str__(self) -> str:
        return str(self.version)
