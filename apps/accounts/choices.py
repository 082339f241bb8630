from django.db import models


class AccountType(models.TextChoices):
    USER = "user"
    ADVANCED_USER = "advanced_user"
    ADMIN = "admin"


class VisibilityArea(models.TextChoices):
    """Whose data a token may read."""

    ACCOUNT = "account"
    ALL = "all"
