"""Accounts, tokens and the audit log."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext

from apps.accounts.choices import AccountType, VisibilityArea
from apps.common.scope import ScopedManager
from apps.common.times import time_zones


class AccountManager(BaseUserManager["Account"]):
    """The manager that Django's `createsuperuser` needs."""

    def create_user(self, login: str, password: str, **fields: Any) -> "Account":
        from apps.accounts.services import account_create  # services import the models

        return account_create(login=login, password=password, **fields)

    def create_superuser(self, login: str, password: str, **fields: Any) -> "Account":
        return self.create_user(login, password, account_type=AccountType.ADMIN, **fields)


def validate_time_zone(name: str) -> None:
    """Raise Django's ValidationError for a name outside the IANA time zone database."""
    if name not in time_zones():
        raise ValidationError(f"'{name}' is no time zone, such as Europe/Berlin.")


class Account(AbstractBaseUser, PermissionsMixin):
    """An owner of data, with a login. Accounts of type admin and accounts with a role may use the admin site."""

    account_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    login = models.EmailField(max_length=128, unique=True)
    account_type = models.CharField(max_length=16, choices=AccountType.choices, default=AccountType.USER)
    description = models.CharField(max_length=128, blank=True, default="")
    time_zone = models.CharField(max_length=64, default="UTC", validators=(validate_time_zone,))  # of statistics
    is_active = models.BooleanField(default=True)
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)
    deletion_time = models.DateTimeField(null=True, editable=False)  # closed at this time; erasure is in progress

    USERNAME_FIELD = "login"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = AccountManager()

    class Meta:
        ordering = ("-create_time",)

    def __str__(self) -> str:
        return self.login

    @property
    def is_superuser(self) -> bool:  # type: ignore[override]  # no column: derived from the type
        """Whether the account has all permissions of the admin site."""
        return self.is_active and self.account_type == AccountType.ADMIN

    @property
    def is_staff(self) -> bool:
        """Whether the account may use the admin site, as an administrator or by a role."""
        return self.is_superuser or bool(self.get_group_permissions())


class AccountOwned(models.Model):
    """The base of all rows that belong to an account. They can be read through an account scope only.

    Each subclass has an index that starts with the account, so the foreign key needs none of its own.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)

    objects: ClassVar[ScopedManager[Any]] = ScopedManager()
    everything: ClassVar[models.Manager[Any]] = models.Manager()  # for Django's cascades and the admin site

    class Meta:
        abstract = True
        base_manager_name = "everything"
        default_manager_name = "everything"


class Token(AccountOwned):
    """A bearer token. The JWT is not stored; the API returns it once."""

    token_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.CharField(max_length=128, blank=True, default="")
    expiration_time = models.DateTimeField(null=True)
    permissions = models.JSONField(default=dict)
    visibility_area = models.CharField(max_length=8, choices=VisibilityArea.choices, default=VisibilityArea.ACCOUNT)
    by_password = models.BooleanField(default=True)  # False: older releases may have created it without a password
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta(AccountOwned.Meta):
        indexes = (models.Index(fields=("account", "-create_time")),)

    def __str__(self) -> str:
        return self.description or str(self.token_id)


class AuditRecord(models.Model):
    """An audit line of a biometric read, a deletion or an administrative change. It contains no biometric data.

    Ids are plain UUIDs, because a line outlives its account and object.
    """

    id = models.BigAutoField(primary_key=True)
    time = models.DateTimeField(auto_now_add=True)
    account_id = models.UUIDField(null=True)
    token_id = models.UUIDField(null=True)
    action = models.CharField(max_length=32)
    object_type = models.CharField(max_length=32)
    object_id = models.CharField(max_length=64)
    members = ArrayField(models.CharField(max_length=64), null=True)  # ids of the objects that one page showed together
    object_account_id = models.UUIDField(null=True)
    request_id = models.CharField(max_length=64)
    remote_address = models.GenericIPAddressField(null=True)

    class Meta:
        verbose_name = "audit line"
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("object_type", "object_id")),
            models.Index(fields=("account_id", "-time")),
            models.Index(fields=("-time",)),
            GinIndex(fields=("members",), condition=models.Q(members__isnull=False), name="audit_members"),
        )

    def __str__(self) -> str:
        words = {"action": gettext(self.action), "type": gettext(self.object_type.replace("_", " "))}
        return gettext("%(action)s %(type)s %(id)s") % {**words, "id": self.object_id}
