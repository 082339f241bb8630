"""Accounts, tokens and the audit log."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models

from apps.accounts.choices import AccountType, VisibilityArea
from apps.common.scope import ScopedManager


class AccountManager(BaseUserManager["Account"]):
    """`createsuperuser` and friends; the platform itself uses `services.account_create`."""

    def create_user(self, login: str, password: str, **fields: Any) -> "Account":
        account = self.model(login=login.lower(), **fields)
        account.set_password(password)
        account.save(using=self._db)
        return account

    def create_superuser(self, login: str, password: str, **fields: Any) -> "Account":
        return self.create_user(login, password, account_type=AccountType.ADMIN, **fields)


class Account(AbstractBaseUser, PermissionsMixin):
    """An owner of data and a login. Accounts of type admin, and those with a role, also enter the admin site."""

    account_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    login = models.EmailField(max_length=128, unique=True)
    account_type = models.CharField(max_length=16, choices=AccountType.choices, default=AccountType.USER)
    description = models.CharField(max_length=128, blank=True, default="")
    is_active = models.BooleanField(default=True)
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)
    deletion_time = models.DateTimeField(null=True, editable=False)  # closed then; its data is going

    USERNAME_FIELD = "login"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = AccountManager()

    class Meta:
        ordering = ("-create_time",)

    def __str__(self) -> str:
        return self.login

    @property
    def is_superuser(self) -> bool:  # type: ignore[override]  # no column: the type says it
        """Whether the account may do everything in the admin site."""
        return self.is_active and self.account_type == AccountType.ADMIN

    @property
    def is_staff(self) -> bool:
        """Whether the account may enter the admin site: as an administrator, or by a role."""
        return self.is_superuser or bool(self.get_group_permissions())


class AccountOwned(models.Model):
    """Base of every row that belongs to an account. Its rows are read through an account scope or not at all.

    Every such model has an index that begins with the account; one of the account alone would only slow writing down.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)

    objects: ClassVar[ScopedManager[Any]] = ScopedManager()
    everything: ClassVar[models.Manager[Any]] = models.Manager()  # Django's own machinery: cascades, the admin

    class Meta:
        abstract = True
        base_manager_name = "everything"
        default_manager_name = "everything"


class Token(AccountOwned):
    """A bearer token. Only its id is stored; the JWT itself is given out once."""

    token_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.CharField(max_length=128, blank=True, default="")
    expiration_time = models.DateTimeField(null=True)
    permissions = models.JSONField(default=dict)
    visibility_area = models.CharField(max_length=8, choices=VisibilityArea.choices, default=VisibilityArea.ACCOUNT)
    create_time = models.DateTimeField(auto_now_add=True)
    last_update_time = models.DateTimeField(auto_now=True)

    class Meta(AccountOwned.Meta):
        indexes = (models.Index(fields=("account", "-create_time")),)

    def __str__(self) -> str:
        return self.description or str(self.token_id)


class AuditRecord(models.Model):
    """Who read whose biometric data, or changed the administration, and when. Never holds the data itself.

    Plain UUIDs: the line outlives the account and the object that it names.
    """

    id = models.BigAutoField(primary_key=True)
    time = models.DateTimeField(auto_now_add=True)
    account_id = models.UUIDField(null=True)
    token_id = models.UUIDField(null=True)
    action = models.CharField(max_length=32)
    object_type = models.CharField(max_length=32)
    object_id = models.CharField(max_length=64)
    object_account_id = models.UUIDField(null=True)
    request_id = models.CharField(max_length=64)
    remote_address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("object_type", "object_id")),
            models.Index(fields=("account_id", "-time")),
            models.Index(fields=("-time",)),
        )
