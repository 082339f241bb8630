from django.db import models


class AccountType(models.TextChoices):
    USER = "user"
    ADVANCED_USER = "advanced_user"
    ADMIN = "admin"


class VisibilityArea(models.TextChoices):
    """The scope of a token: its account, or all accounts."""

    ACCOUNT = "account"
    ALL = "all"
