from django.db import models
from django.utils.translation import gettext_lazy as _


class AccountType(models.TextChoices):
    USER = "user", _("User")
    ADVANCED_USER = "advanced_user", _("Advanced User")
    ADMIN = "admin", _("Admin")


class VisibilityArea(models.TextChoices):
    """The scope of a token: its account, or all accounts."""

    ACCOUNT = "account"
    ALL = "all"
